"""A server of a model on loopback, the proxy in front of it, and plain sockets that talk to the proxy."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from waiting import DEADLINE

from gitbatch.api_proxy.proxy_log import ProxyLog
from gitbatch.api_proxy.routes import Route
from gitbatch.api_proxy.rules import ProxyKey, ProxyRules
from gitbatch.api_proxy.server import serve_item

KEY = ProxyKey("the-real-key-of-the-user", "sk-ant-api03-placeholder")
MESSAGES = Route("POST", "/v1/messages", spends=True)
ROUTES = (MESSAGES, Route("POST", "/v1/messages/count_tokens"), Route("HEAD", "/"))
Play = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Origin:
    """What the server saw, and what it answers."""

    answer: bytes | Play = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    requests: list[bytes] = field(default_factory=list)
    """The heads, with the bodies that have a length."""
    url: str = ""
    closed: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if b"transfer-encoding: chunked" in head.lower():
                    head += await reader.readuntil(b"0\r\n\r\n")
                lengths = [
                    line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")
                ]
                head += await reader.readexactly(int(lengths[0].split(b":")[1]) if lengths else 0)
                self.requests.append(head)
                if isinstance(self.answer, bytes):
                    end = self.answer.index(b"\r\n\r\n") + 4 if head.startswith(b"HEAD") else None
                    writer.write(self.answer[:end])
                    await writer.drain()
                else:
                    await self.answer(head, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.closed += 1
            writer.close()


@asynccontextmanager
async def run_origin(origin: Origin) -> AsyncIterator[Origin]:
    server = await asyncio.start_server(origin.serve, "127.0.0.1", 0)
    origin.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield origin
    finally:
        server.close()


class Client:
    """A connection to the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Reads one answer."""
        async with asyncio.timeout(DEADLINE):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = b""
            if "content-length" in headers:
                body = await self.reader.readexactly(int(headers["content-length"]))
            elif headers.get("transfer-encoding") == "chunked":
                while size := int(await self.reader.readuntil(b"\r\n"), 16):
                    body += (await self.reader.readexactly(size + 2))[:-2]
                await self.reader.readuntil(b"\r\n")
            return int(first.split()[1]), headers, body

    async def rest(self) -> bytes:
        """Reads until the proxy closes the connection."""
        async with asyncio.timeout(DEADLINE):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""


@dataclass
class Proxied:
    """A proxy that serves an item."""

    origin: Origin
    log: ProxyLog
    port: int
    clients: list[Client] = field(default_factory=list)

    async def connect(self) -> Client:
        client = Client(*await asyncio.open_connection("127.0.0.1", self.port))
        self.clients.append(client)
        return client

    async def ask(self, data: bytes) -> tuple[int, dict[str, str], bytes]:
        client = await self.connect()
        client.send(data)
        answer = await client.answer()
        client.writer.close()
        return answer

    def close(self) -> None:
        for client in self.clients:
            client.writer.close()


def post(path: str = "/v1/messages", *headers: str, body: bytes = b"{}", key: str = KEY.placeholder) -> bytes:
    """Returns a request with the placeholder."""
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: x",
        f"x-api-key: {key}",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def run_proxy(origin: Origin | None = None, **more: Any) -> AsyncIterator[Proxied]:  # noqa: ANN401 - of the rules
    """Runs the server and the proxy; `find_limit` goes to the proxy, `url` is the server's, everything else to its rules."""
    find_limit = more.pop("find_limit", lambda _usage: "")
    url = more.pop("url", "")
    async with run_origin(origin or Origin()) as running:
        listener = socket.create_server(("127.0.0.1", 0))
        rules = ProxyRules(**{"origin": url or running.url, "routes": ROUTES, "key": KEY, **more})
        port = listener.getsockname()[1]
        async with AsyncExitStack() as closing, serve_item(listener, rules, find_limit=find_limit) as log:
            proxied = Proxied(running, log, port)
            try:
                yield proxied
            finally:
                closing.callback(proxied.close)  # after the proxy: its clients see how it ends
