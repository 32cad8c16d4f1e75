"""The proxy of one item: it listens in the item's sandbox, and lets through what the rules of the item name.

The listening socket is one of the network namespace of the sandbox, so only the processes of the item can connect.
The proxy runs outside, in the event loop of the batch, from the start of the item's program to its end.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from gitbatch.api_proxy.client import ClientConnection, ClientError, ClientGoneError
from gitbatch.api_proxy.forward import Upstream
from gitbatch.api_proxy.judgement import Forward, Head, Refusal, Tunnel, judge_request
from gitbatch.api_proxy.proxy_log import ProxyLog
from gitbatch.api_proxy.rules import ProxyRules
from gitbatch.api_proxy.tunnel import CHUNK, join_streams, open_tunnel
from gitbatch.api_proxy.user_proxy import LOGIN_WANTED, ProxyLoginError
from gitbatch.concurrency import shielded
from gitbatch.limits.usage import Usage

FindLimit = Callable[[tuple[Usage, ...]], str]
_CONNECTIONS = 32
"""Connections of one item at the same time."""


@asynccontextmanager
async def serve_item(
    listener: socket.socket,
    rules: ProxyRules,
    log: ProxyLog | None = None,
    find_limit: FindLimit = lambda _usages: "",
) -> AsyncIterator[ProxyLog]:
    """Serves the program of one item while the block runs; after that, no connection is left.

    Args:
        listener: a TCP socket that is bound; it is closed at the end.
        rules: what the item may reach.
        log: what is seen goes into it; None: a new one.
        find_limit: called before each request that a model answers, with the usage of each answer until then;
            returns why no further request may be made, or an empty text.
    """
    seen = ProxyLog() if log is None else log
    proxy = _ItemProxy(rules, seen, find_limit, listener.getsockname()[1])
    listening = await asyncio.start_server(proxy.serve_connection, sock=listener, limit=CHUNK)
    try:
        yield seen
    finally:
        listening.close()
        await shielded(proxy.close())


class _ItemProxy:
    """The connections of one item."""

    def __init__(self, rules: ProxyRules, log: ProxyLog, find_limit: FindLimit, port: int) -> None:
        self._rules = rules
        self._log = log
        self._find_limit = find_limit
        self._upstream = Upstream(rules, log)
        self._own_names = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
        """Where it is itself: some programs send all of their requests through a proxy, also those to this address."""
        self._connections: set[asyncio.Task[None]] = set()

    async def serve_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection to its end."""
        task = asyncio.current_task()
        if task is None or len(self._connections) >= _CONNECTIONS:
            writer.transport.abort()
            return
        self._connections.add(task)
        client = ClientConnection(reader, writer)
        try:
            await self._serve_requests(client)
        except (ClientGoneError, OSError, asyncio.CancelledError):
            client.abort()  # cancelled by `close`: the item has ended
        finally:
            self._connections.discard(task)
            writer.close()

    async def close(self) -> None:
        """Ends all connections."""
        open_ones = tuple(self._connections)
        for task in open_ones:
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)
        await self._upstream.close()

    async def _serve_requests(self, client: ClientConnection) -> None:
        try:
            while head := await client.read_head():
                if not await self._serve_request(client, head):
                    return
        except ClientError as error:
            self._log.add_refusal(error.message)
            with suppress(ClientGoneError):
                await client.send_error(error.status, error.message)

    async def _serve_request(self, client: ClientConnection, head: Head) -> bool:
        """Serves one request. Returns false if the connection ends with it."""
        if head.method == "CONNECT" and head.target in self._own_names:
            await client.enter_tunnel()
            return True
        judged = judge_request(self._rules, self._shorten_target(head))
        if isinstance(judged, Refusal):
            if judged.log_line:
                self._log.add_refusal(judged.log_line)
            await client.send_error(judged.status, judged.message)
            return False
        if not isinstance(judged, Forward):
            await self._serve_tunnel(client, judged)
            return False
        if judged.route.spends and (limit := self._find_limit(self._log.usages)):
            self._log.limit = limit
            await client.send_error(402, limit)
            return False
        await self._upstream.pass_on(client, judged)
        return client.start_next()

    async def _serve_tunnel(self, client: ClientConnection, tunnel: Tunnel) -> None:
        try:
            theirs = await open_tunnel(self._rules, tunnel)
        except ProxyLoginError:
            self._log.add_login_problem()
            await client.send_error(407, LOGIN_WANTED)
        except OSError as error:
            way = self._rules.proxies.describe_way("https", tunnel.host, tunnel.port)
            why = f"{error.strerror}{way}" if error.strerror else error
            self._log.add_refusal(f"{tunnel.host}:{tunnel.port} ({why})")
            await client.send_error(502, f"no connection to {tunnel.host}: {why}")
        else:
            await join_streams((client.reader, client.writer), theirs, await client.accept_tunnel())

    def _shorten_target(self, head: Head) -> Head:
        """Returns a request with its path only, if it names this proxy by its whole address."""
        own = next((name for name in self._own_names if head.target.startswith(f"http://{name}/")), "")
        return head._replace(target=head.target.removeprefix(f"http://{own}")) if own else head
