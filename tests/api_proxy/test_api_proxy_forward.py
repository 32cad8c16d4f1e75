"""Requests for the kind's own server: bytes as they come, in both directions, and an end on both sides."""

import asyncio
import gzip
import json
import shutil
import ssl
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from api_proxy.proxied import KEY, Origin, post, run_origin, run_proxy
from waiting import loop_turns, wait_until_async

from gitbatch.api_proxy.user_proxy import UserProxies
from gitbatch.limits.usage import Usage
from gitbatch.text import clean_text

Scene = Callable[[], Coroutine[Any, Any, None]]
EVENT = b'event: message_start\ndata: {"message": {"model": "m", "usage": {"input_tokens": 9}}}\n\n'


def http(status: str, *headers: str, body: bytes = b"") -> bytes:
    return (
        "\r\n".join([f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}", "", ""]).encode() + body
    )


def test_the_key_is_put_on_where_the_placeholder_stands() -> None:
    async def scene() -> None:
        async with run_proxy() as proxied:
            assert (await proxied.ask(post("/v1/messages?beta=true")))[::2] == (200, b"ok")
            (seen,) = proxied.origin.requests
            assert seen.startswith(b"POST /v1/messages?beta=true HTTP/1.1\r\n")
            assert f"x-api-key: {KEY.value}\r\n".encode() in seen
            assert KEY.placeholder.encode() not in seen
            assert proxied.log.statuses == {200: 1}

    asyncio.run(scene())


def test_a_connection_serves_request_after_request_also_those_sent_at_once() -> None:
    async def scene() -> None:
        async with run_proxy() as proxied:
            client = await proxied.connect()
            client.send(post(body=b"1") + b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + post(body=b"3"))
            assert await client.answer() == (200, {"content-length": "2"}, b"ok")
            head = await client.reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert (await client.answer())[2] == b"ok"
            assert [seen[-1:] for seen in proxied.origin.requests] == [b"1", b"\n", b"3"]
            client.writer.write_eof()
            assert await client.rest() == b""

    asyncio.run(scene())


def test_request_through_the_proxy_to_itself() -> None:
    """Qwen Code and Gemini CLI know no NO_PROXY: they ask the proxy for a tunnel to its own address."""

    async def scene() -> None:
        async with run_proxy() as proxied:
            client = await proxied.connect()
            client.send(
                f"CONNECT 127.0.0.1:{proxied.port} HTTP/1.1\r\nHost: x\r\n\r\n".encode() + post(body=b"1")
            )
            assert (await client.answer())[0] == 200
            assert (await client.answer())[::2] == (200, b"ok")
            client.send(post(body=b"2", key="another"))
            assert (await client.answer())[0] == 401
            assert [seen[-1:] for seen in proxied.origin.requests] == [b"1"]
            assert (await proxied.ask(b"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 403
            assert (
                await proxied.ask(f"CONNECT 127.0.0.2:{proxied.port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            )[0] == 403

    asyncio.run(scene())


def test_request_with_its_whole_address() -> None:
    """As programs send it that know HTTP_PROXY and no NO_PROXY. It counts as one for the address that it names."""

    async def scene() -> None:
        async with run_proxy(named_hosts=("docs.example:80",)) as proxied:
            own = f"http://127.0.0.1:{proxied.port}"
            asked = (f"{own}/v1/messages", f"{own}/v1/files", f"{own}1/v1/messages", "http://docs.example/")
            statuses = [(await proxied.ask(post(target)))[0] for target in asked]
            assert statuses == [200, 404, 400, 400]
            assert [seen.partition(b" HTTP")[0] for seen in proxied.origin.requests] == [b"POST /v1/messages"]
            assert proxied.log.refusals[-1] == (
                "refused by the proxy: POST http://docs.example/ (other hosts are reached by https only)"
            )

    asyncio.run(scene())


def test_events_are_passed_on_as_they_come() -> None:
    async def scene() -> None:
        next_one = asyncio.Event()

        async def play(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            )
            for part in (EVENT, b"data: 2\n\n"):
                writer.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                await next_one.wait()
            writer.write(b"0\r\n\r\n")

        async with run_proxy(Origin(play)) as proxied:
            client = await proxied.connect()
            client.send(post())
            seen = await client.reader.readuntil(EVENT)
            assert b"data: 2" not in seen
            assert proxied.log.usages == (Usage(clean_text("m"), input=9, requests=1),)
            next_one.set()
            assert b"data: 2\n\n" in await client.reader.readuntil(b"0\r\n\r\n")

    asyncio.run(scene())


def test_a_body_of_unknown_length_is_passed_on_as_it_comes() -> None:
    async def scene() -> None:
        async with run_proxy() as proxied:
            client = await proxied.connect()
            client.send(
                f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY.placeholder}\r\n".encode()
                + b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
            )
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
            client.send(b"3\r\nabc\r\n0\r\n\r\n")
            assert (await client.answer())[0] == 200
            (seen,) = proxied.origin.requests
            assert b"content-length" not in seen.lower()
            assert seen.endswith(b"3\r\nabc\r\n0\r\n\r\n")
            assert b"expect" not in seen.lower()

    asyncio.run(scene())


def test_a_large_answer_waits_for_its_reader() -> None:
    async def scene() -> None:
        sent = 0

        async def play(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 67108864\r\n\r\n")
            for _ in range(1024):
                writer.write(b"x" * 65536)
                await writer.drain()
                sent += 65536

        async with run_proxy(Origin(play)) as proxied:
            client = await proxied.connect()
            client.send(post())
            before = -1  # nothing is read here: what does not fit into the buffers on the way has to wait
            while sent != before:
                before = sent
                for _ in range(200):
                    await asyncio.sleep(0)
            assert sent < 32 * 1024 * 1024
            assert len((await client.answer())[2]) == 64 * 1024 * 1024

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("answer", "status", "body"),
    [
        (http("401 No", body=b"the key " + KEY.value.encode()), 401, f"the key {KEY.placeholder}".encode()),
        (
            http("429 No", "retry-after: 7", "content-encoding: gzip", body=gzip.compress(b"slow")),
            429,
            b"slow",
        ),
        (http("500 No", f"x-echo: {KEY.value}", "set-cookie: a=b", body=b"no"), 500, b"no"),
    ],
)
def test_answers_of_the_server(answer: bytes, status: int, body: bytes) -> None:
    async def scene() -> None:
        async with run_proxy(Origin(answer)) as proxied:
            found, headers, text = await proxied.ask(post())
            assert (found, text) == (status, body)
            assert headers.get("retry-after") == ("7" if status == 429 else None)
            assert headers.keys().isdisjoint({"location", "set-cookie", "x-echo", "content-encoding"})
            assert len(proxied.origin.requests) == 1
            assert proxied.log.statuses == {status: 1}
            assert len(proxied.log.usages) == (status < 400)
            assert proxied.log.retry_after == (7.0 if status == 429 else None)
            assert proxied.log.errors == (
                (f"the server answered {status} (1 times)",) if status >= 400 else ()
            )

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("location", "there"),
    [
        (f"https://user:{KEY.value}@gw.example/v1/messages?k={KEY.value}", "https://gw.example"),
        ("/elsewhere", "another address"),
        ("https://[", "another address"),
    ],
)
def test_a_redirect_is_refused_and_said(location: str, there: str) -> None:
    """Programs would only say its number, attempt after attempt; 403 is an error of all items to each of them."""

    async def scene() -> None:
        answer = http("307 Go", f"location: {location}", body=b"there")
        async with run_proxy(Origin(answer)) as proxied:
            status, headers, body = await proxied.ask(post())
            assert (status, "location" in headers) == (403, False)
            server = proxied.origin.url.removeprefix("http://")
            said = f"invalid base URL: {server} redirects to {there}"
            assert json.loads(body)["error"]["message"] == f"gitbatch: {said}"
            assert proxied.log.refusals == (f"the proxy: {said}",)
            assert (len(proxied.origin.requests), proxied.log.usages) == (1, ())
            assert not proxied.log.is_unreachable
            asked = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
            client = await proxied.connect()
            client.send(asked)
            assert b"HTTP/1.1 307" in await client.reader.readuntil(b"\r\n\r\n")

    asyncio.run(scene())


def test_an_error_without_an_end_is_cut() -> None:
    async def play(_head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 No\r\ncontent-length: 99999999\r\n\r\n" + b"x" * 3_000_000)
        await reader.read()
        raise ConnectionError

    async def scene() -> None:
        async with run_proxy(Origin(play)) as proxied:
            assert len((await proxied.ask(post()))[2]) == 1024 * 1024

    asyncio.run(scene())


def test_a_server_that_cannot_be_reached_is_said() -> None:
    async def scene() -> None:
        async with run_proxy(url="http://127.0.0.1:9") as proxied:
            status, _, body = await proxied.ask(post())
            assert status == 502
            said = "no connection to 127.0.0.1:9: the server cannot be reached (Connection refused)"
            assert json.loads(body)["error"]["message"] == f"gitbatch: {said}"
            assert proxied.log.refusals == (f"the proxy: {said}",)
            assert proxied.log.is_unreachable
            proxied.log.add_answer(529, {})
            assert not proxied.log.is_unreachable

    asyncio.run(scene())


def test_an_answer_that_is_cut_is_cut_for_the_program_too() -> None:
    async def scene() -> None:
        async def play(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 999\r\n\r\n" + EVENT
            )
            await writer.drain()
            raise ConnectionError

        async with run_proxy(Origin(play)) as proxied:
            client = await proxied.connect()
            client.send(post())
            assert b"HTTP/1.1 200" not in (await client.rest())[20:]
            assert proxied.log.usages == (Usage(clean_text("m"), input=9, requests=1),)

    asyncio.run(scene())


def test_an_answer_with_two_ends_is_cut() -> None:
    both = (
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    )

    async def scene() -> None:
        async with run_proxy(Origin(both)) as proxied:
            client = await proxied.connect()
            client.send(post())
            assert b"hello" not in await client.rest()
            proxied.origin.answer = http("200 OK", body=b"ok")
            assert (await proxied.ask(post()))[2] == b"ok"

    asyncio.run(scene())


def test_headers_that_are_not_ascii_are_passed_on() -> None:
    async def scene() -> None:
        async with run_proxy(Origin(http("200 OK", body=b"ok"))) as proxied:
            sent = post("/v1/messages", "X-Name: caf\xe9").decode().encode("latin-1")
            assert (await proxied.ask(sent))[0] == 200
            assert b"x-name: caf\xe9\r\n" in proxied.origin.requests[0].lower()

    asyncio.run(scene())


def test_a_request_ends_when_the_program_closes_its_connection() -> None:
    """Nothing is paid for that has no reader."""

    async def scene() -> None:
        asked = asyncio.Event()

        async def play(_head: bytes, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            asked.set()
            await reader.read()  # until the proxy closes it
            raise ConnectionError

        async with run_proxy(Origin(play)) as proxied:
            client = await proxied.connect()
            client.send(post())
            await asked.wait()
            client.writer.close()
            await wait_until_async(lambda: proxied.origin.closed, "the end of the request")

    asyncio.run(scene())


def test_nothing_is_served_after_the_item() -> None:
    async def scene() -> None:
        async def play(_head: bytes, reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await reader.read()
            raise ConnectionError

        async with run_proxy(Origin(play)) as proxied:
            client = await proxied.connect()
            client.send(post())
            await wait_until_async(lambda: proxied.origin.requests, "the request")
        assert await client.rest() == b""
        with pytest.raises(ConnectionRefusedError):
            await proxied.connect()

    asyncio.run(scene())


def test_a_limit_is_held_before_the_next_request() -> None:
    answer = http(
        "200 OK",
        "content-type: application/json",
        body=b'{"model": "m", "usage": {"input_tokens": 9}}',
    )

    def find_limit(usages: tuple[Usage, ...]) -> str:
        return "the limit is reached" if sum(usage.total_tokens for usage in usages) > 10 else ""

    async def scene() -> None:
        async with run_proxy(Origin(answer), find_limit=find_limit) as proxied:
            assert [(await proxied.ask(post()))[0] for _ in range(2)] == [200, 200]
            status, _, body = await proxied.ask(post())
            assert (status, json.loads(body)["error"]["message"]) == (402, "gitbatch: the limit is reached")
            assert (await proxied.ask(post("/v1/messages/count_tokens")))[0] == 200
            assert len(proxied.origin.requests) == 3
            assert len(proxied.log.usages) == 2

    asyncio.run(scene())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1, and its private key."""
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    made = (folder / "certificate.pem", folder / "key.pem")
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-out", str(made[0]), "-keyout", str(made[1])),
        ],
        check=True,
        capture_output=True,
    )
    return made


@pytest.mark.parametrize("is_trusted", [True, False])
def test_https(certificate: tuple[Path, Path], is_trusted: bool) -> None:  # noqa: FBT001 - a row
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    trusted = (str(certificate[0]),) if is_trusted else ()

    async def scene() -> None:
        origin = Origin()
        server = await asyncio.start_server(origin.serve, "127.0.0.1", 0, ssl=context)
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, run_proxy(url=url, certificates=trusted) as proxied:
            status, _, body = await proxied.ask(post())
            assert (status, b"(SSL_CERT_FILE names a file with more certificates)" in body) == (
                (200, False) if is_trusted else (502, True)
            )
            assert (KEY.value.encode() in b"".join(origin.requests)) is is_trusted

    asyncio.run(scene())


def test_requests_go_through_the_proxy_of_the_user() -> None:
    async def scene() -> None:
        theirs = Origin()
        async with run_origin(theirs):
            proxies = UserProxies(http=theirs.url.replace("//", "//user:word@"))
            async with run_proxy(url="http://api.example", proxies=proxies) as proxied:
                assert (await proxied.ask(post()))[0] == 200
        (seen,) = theirs.requests
        assert seen.startswith(b"POST http://api.example/v1/messages HTTP/1.1\r\n")
        assert b"Proxy-Authorization: Basic dXNlcjp3b3Jk\r\n" in seen

    asyncio.run(scene())


def test_proxy_of_the_user_that_is_not_there_is_named_without_its_password() -> None:
    async def scene() -> None:
        proxies = UserProxies(https="http://user:word@127.0.0.1:9")
        async with run_proxy(url="https://api.example", proxies=proxies) as proxied:
            status, _, body = await proxied.ask(post())
        said = (
            "the server cannot be reached (Connection refused) by the proxy of your environment, 127.0.0.1:9"
        )
        found = json.loads(body)["error"]["message"]
        assert (status, found) == (502, f"gitbatch: no connection to api.example: {said}")

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("refused", "status", "said"),
    [
        ("407 Login", 407, "the proxy in the environment wants a login (407): HTTPS_PROXY=http://user:password@host:port"),
        ("403 No", 502, "no connection to api.example: the proxy refuses (403 No)"),
    ],
)  # fmt: skip
def test_proxy_of_the_user_that_refuses(refused: str, status: int, said: str) -> None:
    async def scene() -> None:
        async with run_origin(Origin(http(refused))) as theirs:
            proxies = UserProxies(https=theirs.url.replace("//", "//user:word@"))
            async with run_proxy(url="https://api.example", proxies=proxies) as proxied:
                found, _, body = await proxied.ask(post())
                assert (found, json.loads(body)["error"]["message"]) == (status, f"gitbatch: {said}")
                assert proxied.log.wants_login is (status == 407)
                assert proxied.log.is_unreachable is (status == 502)

    asyncio.run(scene())


@pytest.mark.parametrize("is_item_over", [False, True])
def test_answer_that_the_program_does_not_read(*, is_item_over: bool) -> None:
    """It reads the head only, and closes the connection or ends: the server has done the work, and says so at the end."""

    async def scene() -> None:
        is_gone = asyncio.Event()
        body = b'{"type": "message", "model": "m", "usage": {"input_tokens": 100000, "output_tokens": 5}}'

        async def play(_head: bytes, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            length = str(len(body)).encode()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: " + length)
            writer.write(b"\r\n\r\n")
            await is_gone.wait()
            await loop_turns(20)
            writer.write(body)
            await writer.drain()

        async with run_proxy(Origin(play)) as proxied:
            client = await proxied.connect()
            client.send(post())
            await client.reader.readuntil(b"\r\n\r\n")
            is_gone.set()
            if not is_item_over:
                client.writer.close()
                await wait_until_async(lambda: proxied.log.usages[0].input, "the end of the answer")
        assert proxied.log.usages[0].input == 100_000

    asyncio.run(scene())
