"""What a hostile program sends by plain sockets: nothing of it reaches the server, and nothing keeps the proxy busy."""

import asyncio
from contextlib import suppress

import pytest
from api_proxy.proxied import KEY, MESSAGES, Origin, Proxied, post, run_proxy
from waiting import DEADLINE, HeldLimits, wait_until_async

from gitbatch.api_proxy import client as client_module
from gitbatch.api_proxy import server as server_module
from gitbatch.api_proxy import tunnel as tunnel_module
from gitbatch.api_proxy.user_proxy import UserProxies

HEAD = f"POST /v1/messages HTTP/1.1\r\nHost: x\r\nx-api-key: {KEY.placeholder}\r\n".encode()
INNER = b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        # Two ends of one request.
        (HEAD + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello", 400),
        (HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + INNER, 400),
        (HEAD + b"Content-Length: +5\r\n\r\nhello", 400),
        (HEAD + b"Content-Length: 5, 6\r\n\r\nhello", 400),
        (HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n", 501),
        (HEAD + b"Transfer-Encoding : chunked\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (HEAD + b"Content-Length: 99999999999\r\n\r\n", 413),
        # Heads that are not heads.
        (HEAD + b"X: a\rb\r\nContent-Length: 0\r\n\r\n", 400),
        (HEAD + b"X: a\x00b\r\nContent-Length: 0\r\n\r\n", 400),
        (HEAD + b" folded: into the key\r\n\r\n", 401),
        (b"POST /v1/messages HTTP/1.1\r\n\r\n", 400),
        (b"POST /v1/messages\r\n\r\n", 400),
        (b"POST /v1/mess ages HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (HEAD + b"X: " + b"x" * 70_000 + b"\r\n\r\n", 431),
        # Other ways.
        (b"GET /v1/files HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 404),
        (b"POST http://127.0.0.1/v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", 400),
        (b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", 404),
        (b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: x\r\n\r\n", 403),
        (b"CONNECT localhost:443 HTTP/1.1\r\nHost: localhost:443\r\n\r\n", 403),
        (post("/v1/messages/../files"), 404),
        (post("/v1/files?beta=true"), 404),
        (post(key="sk-ant-api03-the-key-of-an-attacker"), 401),
    ],
)
def test_refused(sent: bytes, status: int) -> None:
    async def scene() -> None:
        async with run_proxy() as proxied:
            client = await proxied.connect()
            client.send(sent + INNER)
            assert (await client.answer())[0] == status
            await client.rest()  # and the connection has ended
            assert proxied.origin.requests == []
            assert len(proxied.log.refusals) == 1
            assert (await proxied.ask(post()))[0] == 200

    asyncio.run(scene())


def test_an_upgrade_is_not_passed_on() -> None:
    async def scene() -> None:
        async with run_proxy() as proxied:
            client = await proxied.connect()
            client.send(
                HEAD + b"Upgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 2\r\n\r\n{}" + INNER
            )
            assert (await client.answer())[0] == 200
            assert b"upgrade" not in proxied.origin.requests[0].lower()
            await client.rest()
            assert len(proxied.origin.requests) == 1

    asyncio.run(scene())


def test_a_name_that_leads_to_this_machine_is_refused() -> None:
    """The address is judged that is connected to, so a name that changes its address changes nothing."""

    async def scene() -> None:
        async with run_proxy(hosts=("localhost",), named_hosts=("localhost:8443",)) as proxied:
            for port in (443, 8443):
                target = f"localhost:{port}"
                status, _, body = await proxied.ask(
                    f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode()
                )
                assert (status, b"this machine" in body) == (502, True)
            assert len(proxied.log.refusals) == 2

    asyncio.run(scene())


async def begin(proxied: Proxied, sent: bytes) -> bytes:
    """Sends the beginning of a request and returns all that comes back."""
    client = await proxied.connect()
    client.send(sent)
    return await client.rest()


@pytest.mark.parametrize(
    ("sent", "waits", "said"),
    [
        (b"", 1, b""),
        (b"P", 2, b"408"),
        (HEAD, 2, b"408"),
        (HEAD + b"Content-Length: 5\r\n\r\n", 3, b"408"),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", 3, b"408"),
    ],
)
def test_a_request_that_stops_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, waits: int, said: bytes
) -> None:
    """Its beginning is waited for, the rest of its head, then its body."""
    monkeypatch.setattr(client_module, "IDLE_PATIENCE", 0.05)
    monkeypatch.setattr(client_module, "HEAD_PATIENCE", 0.05)
    limits = HeldLimits(monkeypatch, 0.05)

    async def scene() -> None:
        async with run_proxy() as proxied:
            client = await proxied.connect()
            client.send(sent)
            await wait_until_async(lambda: limits.begun >= waits, "the proxy has read it")
            limits.expire()
            assert (await client.rest())[9:12] == said

    asyncio.run(scene())


def test_a_body_without_an_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "BODY_BYTES", 1000)

    async def scene() -> None:
        async with run_proxy() as proxied:
            chunk = b"200\r\n" + b"x" * 512 + b"\r\n"
            said = await begin(proxied, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 3)
            assert said[9:12] == b"413"
            assert not proxied.log.statuses

    asyncio.run(scene())


def test_connections_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_CONNECTIONS", 3)

    async def scene() -> None:
        async with run_proxy() as proxied:
            clients = [await proxied.connect() for _ in range(3)]
            for client in clients:  # each is served before the next one comes
                client.send(post())
                await client.answer()
            assert await (await proxied.connect()).rest() == b""
            clients[0].writer.close()
            await clients[0].writer.wait_closed()

            async def is_served() -> bool:
                one = await proxied.connect()
                one.send(post())
                return b"200" in await one.reader.read(20)

            async with asyncio.timeout(DEADLINE):
                while not await is_served():
                    pass

    asyncio.run(scene())


def test_a_client_that_sends_while_it_should_read_is_cut_off() -> None:
    async def scene() -> None:
        release = asyncio.Event()

        async def play(_head: bytes, _reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
            await release.wait()

        async with run_proxy(Origin(play)) as proxied:
            client = await proxied.connect()
            client.send(post() + b"x" * 10_000_000)
            assert await client.rest() == b""
            release.set()

    asyncio.run(scene())


def test_refusals_are_counted_and_not_kept_without_end() -> None:
    async def scene() -> None:
        async with run_proxy() as proxied:
            for name in range(60):
                await proxied.ask(f"CONNECT h{name}:443 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            await proxied.ask(b"CONNECT h0:443 HTTP/1.1\r\nHost: x\r\n\r\n")
            assert len(proxied.log.refusals) == 51
            assert (
                proxied.log.refusals[0] == "refused by the proxy: h0:443 (allow-hosts adds hosts) (2 times)"
            )
            assert proxied.log.refusals[-1] == "refused by the proxy: more (10 times)"

    asyncio.run(scene())


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A host that sends back what it gets, in capitals."""
    while data := await reader.read(1000):
        writer.write(data.upper())
        await writer.drain()
    writer.close()


def test_a_tunnel_passes_bytes_both_ways_until_both_sides_are_done() -> None:
    async def scene() -> None:
        host = await asyncio.start_server(echo, "127.0.0.1", 0)
        target = f"127.0.0.1:{host.sockets[0].getsockname()[1]}"
        async with host, run_proxy(named_hosts=(target,)) as proxied:
            client = await proxied.connect()
            client.send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\nat once ".encode())
            assert (await client.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            client.send(b"and later")
            client.writer.write_eof()
            assert await client.rest() == b"AT ONCE AND LATER"
            assert proxied.log.refusals == ()

    asyncio.run(scene())


def test_a_tunnel_without_a_byte_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel_module, "IDLE_PATIENCE", 0.05)

    async def scene() -> None:
        host = await asyncio.start_server(echo, "127.0.0.1", 0)
        target = f"127.0.0.1:{host.sockets[0].getsockname()[1]}"
        async with host, run_proxy(named_hosts=(target,)) as proxied:
            assert (
                await begin(proxied, f"CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            ).startswith(b"HTTP/1.1 200")

    asyncio.run(scene())


def test_a_host_that_cannot_be_reached_is_said() -> None:
    async def scene() -> None:
        async with run_proxy(named_hosts=("127.0.0.1:9",)) as proxied:
            assert (await proxied.ask(b"CONNECT 127.0.0.1:9 HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 502
            (line,) = proxied.log.refusals
            assert line.startswith("refused by the proxy: 127.0.0.1:9 (")

    asyncio.run(scene())


def test_a_tunnel_ends_with_its_item() -> None:
    async def scene() -> None:
        ended = asyncio.Event()

        async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(ConnectionError):
                await reader.read()
            ended.set()
            writer.close()

        host = await asyncio.start_server(wait, "127.0.0.1", 0)
        target = f"127.0.0.1:{host.sockets[0].getsockname()[1]}"
        async with host:
            async with run_proxy(named_hosts=(target,), routes=(MESSAGES,)) as proxied:
                client = await proxied.connect()
                client.send(f"CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                await client.reader.readuntil(b"\r\n\r\n")
            assert await client.rest() == b""
            await wait_until_async(ended.is_set, "the end of the tunnel")

    asyncio.run(scene())


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", 200),
        (b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n", 407),
        (b"HTTP/1.1 403 No\r\ncontent-length: 0\r\n\r\n", 502),
        (b"SSH-2.0-x\r\n\r\n", 502),
        (b"", 502),
        (b"x" * 200_000, 502),
    ],
)
def test_a_tunnel_goes_through_the_proxy_of_the_user(answer: bytes, status: int) -> None:
    asked: list[bytes] = []

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        if status == 200:
            writer.write(await reader.readexactly(5))
        writer.close()

    async def scene() -> None:
        theirs = await asyncio.start_server(play, "127.0.0.1", 0)
        proxies = UserProxies(https=f"http://us%40er:word@127.0.0.1:{theirs.sockets[0].getsockname()[1]}")
        async with theirs, run_proxy(named_hosts=("nowhere.invalid",), proxies=proxies) as proxied:
            client = await proxied.connect()
            client.send(b"CONNECT nowhere.invalid:443 HTTP/1.1\r\nHost: x\r\n\r\nhello")
            assert (await client.reader.readuntil(b"\r\n"))[9:12] == str(status).encode()
            assert (b"hello" in await client.rest()) is (status == 200)
            assert proxied.log.wants_login is (status == 407)
        (head,) = asked
        assert head.startswith(b"CONNECT nowhere.invalid:443 HTTP/1.1\r\nHost: nowhere.invalid:443\r\n")
        assert head.endswith(b"\r\nProxy-Authorization: Basic dXNAZXI6d29yZA==\r\n\r\n")

    asyncio.run(scene())


def test_a_proxy_of_the_user_that_is_not_there_is_named() -> None:
    async def scene() -> None:
        proxies = UserProxies(https="http://user:word@127.0.0.1:9")
        async with run_proxy(named_hosts=("nowhere.invalid",), proxies=proxies) as proxied:
            await proxied.ask(b"CONNECT nowhere.invalid:443 HTTP/1.1\r\nHost: x\r\n\r\n")
        (line,) = proxied.log.refusals
        assert line.endswith(" by the proxy of your environment, 127.0.0.1:9)")

    asyncio.run(scene())


def test_a_host_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tunnel_module, "CONNECT_PATIENCE", 0.05)

    async def play(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def scene() -> None:
        theirs = await asyncio.start_server(play, "127.0.0.1", 0)
        proxies = UserProxies(https=f"http://127.0.0.1:{theirs.sockets[0].getsockname()[1]}")
        async with theirs, run_proxy(named_hosts=("nowhere.invalid",), proxies=proxies) as proxied:
            assert (await proxied.ask(b"CONNECT nowhere.invalid:443 HTTP/1.1\r\nHost: x\r\n\r\n"))[0] == 502

    asyncio.run(scene())
