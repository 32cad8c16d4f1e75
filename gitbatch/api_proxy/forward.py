"""Passes a request on to the server of the agent's kind, and its answer back, byte by byte as they come."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gitbatch.api_proxy.answer_usage import AnswerUsage
from gitbatch.api_proxy.client import IDLE_PATIENCE, ClientConnection, ClientGoneError
from gitbatch.api_proxy.judgement import Forward, keep_answer_header
from gitbatch.api_proxy.proxy_log import ProxyLog
from gitbatch.api_proxy.rules import ProxyRules
from gitbatch.api_proxy.user_proxy import LOGIN_WANTED
from gitbatch.web.connection_error import describe_connection_error

if TYPE_CHECKING:
    from httpx2 import AsyncClient, Response

_CONNECT_PATIENCE = 30.0
_ANSWER_PATIENCE = 900.0
"""Seconds without a byte of an answer: a model that thinks and does not stream is silent for minutes."""
_CONNECTIONS = 16
"""Connections to the server at the same time; further requests wait for one."""
_REFUSAL = 60
"""Characters of what the user's proxy says that are repeated."""
_REST_PATIENCE = 5.0
"""Seconds for the rest of an answer whose program has gone: its end says what has to be paid."""
_ERROR_BYTES = 1024 * 1024
"""Bytes that are passed on of an answer that is an error."""


class Upstream:
    """The connections to the server, of one item."""

    def __init__(self, rules: ProxyRules, log: ProxyLog) -> None:
        self._rules = rules
        self._log = log
        self._client: AsyncClient | None = None

    async def pass_on(self, client: ClientConnection, request: Forward) -> None:
        """Sends a request, and its answer back. Both end at once if the program closes the connection.

        Raises:
            ClientError: the request is not valid to its end.
            ClientGoneError: the program has gone, or the server has cut its answer.
        """
        body = _RequestBody(client)
        passing = asyncio.create_task(self._pass_whole(client, request, body))
        watching = asyncio.create_task(body.wait_until_gone())
        try:
            await asyncio.wait({passing, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not passing.done():
                raise ClientGoneError
            passing.result()
        finally:
            if body.has_bill_coming:
                await asyncio.wait({passing}, timeout=_REST_PATIENCE)
            passing.cancel()
            watching.cancel()
            await asyncio.gather(passing, watching, return_exceptions=True)

    async def close(self) -> None:
        """Closes the connections."""
        if self._client:
            await self._client.aclose()

    async def _pass_whole(self, client: ClientConnection, request: Forward, body: "_RequestBody") -> None:
        import httpx2  # noqa: PLC0415 - it takes 60 ms, and only a request needs it

        try:
            answer = await self._send_request(request, body)
        except (httpx2.HTTPError, OSError) as error:
            await self._send_failure(client, error)
            return
        try:
            await self._send_back(client, request, answer, body)
        except (httpx2.HTTPError, OSError) as error:
            raise ClientGoneError from error  # the program has to see that the answer was cut
        finally:
            await answer.aclose()

    async def _send_failure(self, client: ClientConnection, error: Exception) -> None:
        """Answers that the server cannot be reached, or that the user's proxy wants a login."""
        if _find_proxy_refusal(error).startswith("407"):
            self._log.add_login_problem()
            await client.send_error(407, LOGIN_WANTED)
            return
        why = self._describe_failure(error)
        self._log.add_failure(why)
        await client.send_error(502, why)

    def _describe_failure(self, error: Exception) -> str:
        """Returns why no answer came; what begins so counts as no connection, whatever program repeats it."""
        why = describe_connection_error(error) or "the connection was broken"
        if refusal := _find_proxy_refusal(error):
            why += f" ({refusal})"
        else:
            why += self._rules.proxies.describe_way(*self._find_server())
        if "certificate is not valid" in why:
            why += " (SSL_CERT_FILE names a file with more certificates)"
        return f"no connection to {urlsplit(self._rules.origin).netloc}: {why}"

    async def _send_request(self, request: Forward, body: "_RequestBody") -> "Response":
        import httpx2  # noqa: PLC0415 - imported by now

        if self._client is None:
            self._client = self._open_client()
        length = body.client.content_length
        given = [*request.headers, *([("content-length", str(length))] if length else [])]
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in given]
        content = body.read_pieces() if length is None or length else await body.read_empty()
        sent = httpx2.Request(request.route.method, request.url, headers=headers, content=content)
        return await self._client.send(sent, stream=True)

    def _open_client(self) -> "AsyncClient":
        """Opens the connections, which follow no redirect and read no variable of the environment."""
        import httpx2  # noqa: PLC0415 - imported by now

        server = self._find_server()
        is_tls, proxy = server[0] == "https", self._rules.proxies.find_proxy(*server)
        return httpx2.AsyncClient(
            verify=make_tls_context(self._rules.certificates) if is_tls or proxy else False,
            proxy=proxy or None,
            trust_env=False,
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
            timeout=httpx2.Timeout(
                connect=_CONNECT_PATIENCE, read=_ANSWER_PATIENCE, write=IDLE_PATIENCE, pool=None
            ),
        )

    def _find_server(self) -> tuple[str, str, int]:
        """Returns the scheme, the host and the port of the server."""
        origin = urlsplit(self._rules.origin)
        port = origin.port or (443 if origin.scheme == "https" else 80)
        return origin.scheme, origin.hostname or "", port

    async def _send_back(
        self, client: ClientConnection, request: Forward, answer: "Response", body: "_RequestBody"
    ) -> None:
        self._log.add_answer(answer.status_code, answer.headers)
        if answer.is_redirect and request.route.spends:  # `HEAD /` may lead to a page for people
            await self._refuse_redirect(client, answer.headers.get("location", ""))
            return
        if answer.status_code >= 400:
            await self._send_back_error(client, answer)
            return
        headers = self._kept_headers(answer)
        if "content-length" in answer.headers:
            headers.append((b"content-length", answer.headers["content-length"].encode("latin-1")))
        if "content-encoding" in answer.headers:
            headers.append((b"content-encoding", answer.headers["content-encoding"].encode("latin-1")))
        if not request.route.spends:
            await client.start_answer(answer.status_code, headers)
            async for data in answer.aiter_raw():
                await client.send_body(data)
        else:
            count = self._log.open_answer(answer.headers.get("content-type", ""))
            body.has_bill_coming = not count.is_stream
            try:
                await _send_counted(client, answer, headers, count)
            finally:
                count.finish()
        await client.finish_answer()

    async def _refuse_redirect(self, client: ClientConnection, location: str) -> None:
        """Answers that the address of the server is wrong: programs would repeat the number of a redirect, and try again."""
        here = urlsplit(self._rules.origin).netloc
        said = f"invalid base URL: {here} redirects to {_find_origin(location) or 'another address'}"
        self._log.add_problem(said)
        await client.send_error(403, said)

    async def _send_back_error(self, client: ClientConnection, answer: "Response") -> None:
        """Sends an answer that is an error: some servers repeat the key in it."""
        body = bytearray()
        async for data in answer.aiter_bytes():
            body += data
            if len(body) > _ERROR_BYTES:
                break
        key, text = self._rules.key, bytes(body[:_ERROR_BYTES])
        if key and key.value:
            text = text.replace(key.value.encode(), key.placeholder.encode())
        headers = self._kept_headers(answer)
        if answer.request.method != "HEAD":
            headers.append((b"content-length", str(len(text)).encode()))
        await client.start_answer(answer.status_code, headers)
        if answer.request.method != "HEAD":
            await client.send_body(text)
        await client.finish_answer()

    def _kept_headers(self, answer: "Response") -> list[tuple[bytes, bytes]]:
        key = self._rules.key.value.encode() if self._rules.key else b""
        return [
            (name, value)
            for name, value in answer.headers.raw
            if keep_answer_header(name.decode("latin-1").lower()) and not (key and key in value)
        ]


async def _send_counted(
    client: ClientConnection, answer: "Response", headers: list[tuple[bytes, bytes]], count: AnswerUsage
) -> None:
    """Sends an answer back, and counts it.

    A program that closes the connection ends a stream. The tokens of any other answer are in its end: that is read.
    """
    is_there = await _is_taken(client.start_answer(answer.status_code, headers), count)
    async for data in answer.aiter_raw():
        count.feed_bytes(data)
        is_there = is_there and await _is_taken(client.send_body(data), count)


async def _is_taken(sending: Awaitable[None], count: AnswerUsage) -> bool:
    """Sends a part; returns false if the program has gone and the answer is read to its end without it."""
    try:
        await sending
    except ClientGoneError:
        if count.is_stream:
            raise
        return False
    return True


def _find_proxy_refusal(error: Exception) -> str:
    """Returns the status with which the user's proxy refuses a tunnel; empty if that is not the error."""
    import httpx2  # noqa: PLC0415 - imported by now

    return str(error)[:_REFUSAL].strip() if isinstance(error, httpx2.ProxyError) else ""


def _find_origin(address: str) -> str:
    """Returns the scheme and the host of an address, without what may be secret in it; empty if it has none."""
    try:
        parts = urlsplit(address)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return ""
    return f"{parts.scheme}://{parts.hostname}{port}" if parts.scheme and parts.hostname else ""


class _RequestBody:
    """The body of a request, on its way."""

    def __init__(self, client: ClientConnection) -> None:
        self.client = client
        self.has_bill_coming = False
        """Whether the answer has begun, and says at its end what it costs."""
        self._is_whole = asyncio.Event()

    async def read_pieces(self) -> AsyncIterator[bytes]:
        """Yields it as it comes. Raises as `ClientConnection.read_body` does."""
        async for piece in self.client.read_body():
            yield piece
        self._is_whole.set()

    async def read_empty(self) -> bytes:
        """Reads the end of a request without a body."""
        async for _ in self.read_pieces():
            pass
        return b""

    async def wait_until_gone(self) -> None:
        """Returns when the program closes the connection after its request."""
        await self._is_whole.wait()
        await self.client.wait_until_gone()


@lru_cache
def make_tls_context(certificates: tuple[str, ...]) -> ssl.SSLContext:
    """Returns how servers are verified: by the system's certificates, and those of some files (20 ms)."""
    import httpx2  # noqa: PLC0415 - imported by now

    context = httpx2.create_ssl_context(trust_env=False)
    for path in certificates:
        context.load_verify_locations(path)
    return context
