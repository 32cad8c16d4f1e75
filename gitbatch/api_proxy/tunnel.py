"""A tunnel to a host that the agent may reach (CONNECT): bytes in both directions, which the proxy does not read."""

import asyncio
import ssl
from base64 import b64encode
from contextlib import ExitStack, suppress
from urllib.parse import unquote, urlsplit

from gitbatch.api_proxy.addresses import resolve_host
from gitbatch.api_proxy.judgement import Tunnel
from gitbatch.api_proxy.rules import ProxyRules
from gitbatch.api_proxy.user_proxy import ProxyLoginError

CHUNK = 64 * 1024
CONNECT_PATIENCE = 30.0
"""Seconds until a host has to be reached."""
IDLE_PATIENCE = 900.0
"""Seconds without a byte in either direction after which a tunnel is closed."""

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def open_tunnel(rules: ProxyRules, tunnel: Tunnel) -> Streams:
    """Connects to the host of a tunnel, through the user's proxy if there is one for it.

    Raises:
        OSError: it cannot be reached, or has no address that the agent may reach.
    """
    proxy = rules.proxies.find_proxy("https", tunnel.host, tunnel.port)
    try:
        async with asyncio.timeout(CONNECT_PATIENCE):
            if proxy:
                return await _connect_by_proxy(proxy, f"{tunnel.host}:{tunnel.port}")
            addresses = await resolve_host(tunnel.host, tunnel.port, is_named=tunnel.is_named)
            return await _connect_first(addresses, tunnel.port)
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise OSError(f"{tunnel.host} does not answer") from error


async def join_streams(ours: Streams, theirs: Streams, first: bytes) -> None:
    """Passes bytes on in both directions until both sides are done, or nothing has come for a long time.

    Args:
        ours: the connection of the agent's program.
        theirs: the connection to the host.
        first: what the program has sent already.
    """
    theirs[1].write(first)
    try:
        async with asyncio.timeout(IDLE_PATIENCE) as limit, asyncio.TaskGroup() as both:
            both.create_task(_copy_bytes(ours[0], theirs[1], limit))
            both.create_task(_copy_bytes(theirs[0], ours[1], limit))
    except* (OSError, TimeoutError):
        pass  # one side has gone, which ends the other
    finally:
        theirs[1].transport.abort()


async def _copy_bytes(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, limit: asyncio.Timeout
) -> None:
    loop = asyncio.get_running_loop()
    while data := await source.read(CHUNK):
        limit.reschedule(loop.time() + IDLE_PATIENCE)
        target.write(data)
        await target.drain()
    with suppress(OSError):
        if target.can_write_eof():
            target.write_eof()


async def _connect_first(addresses: tuple[str, ...], port: int) -> Streams:
    """Connects to the first of some addresses that answers."""
    errors: list[OSError] = []
    for address in addresses:
        try:
            return await asyncio.open_connection(address, port, limit=CHUNK)
        except OSError as error:
            errors.append(error)
    raise errors[0]


async def _connect_by_proxy(proxy: str, target: str) -> Streams:
    """Asks the user's proxy for a tunnel. It resolves the name, so it decides about the address too."""
    parts = urlsplit(proxy)
    is_tls = parts.scheme == "https"
    reader, writer = await asyncio.open_connection(
        parts.hostname,
        parts.port or (443 if is_tls else 80),
        limit=CHUNK,
        ssl=ssl.create_default_context() if is_tls else None,
    )
    with ExitStack() as undo:
        undo.callback(writer.transport.abort)
        asked = f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n"
        if parts.username is not None:
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            asked += f"Proxy-Authorization: Basic {b64encode(login.encode()).decode()}\r\n"
        writer.write(f"{asked}\r\n".encode())
        await writer.drain()
        _require_tunnel(await reader.readuntil(b"\r\n\r\n"), target)
        undo.pop_all()
    return reader, writer


def _require_tunnel(head: bytes, target: str) -> None:
    """Raises an error if the answer of the user's proxy is not that the tunnel is there."""
    status = head.split(b" ", 2)[1:2]
    if status == [b"407"]:
        raise ProxyLoginError
    if status != [b"200"]:
        said = status[0][:3].decode("latin-1") if status else "no answer of HTTP"
        raise OSError(f"the proxy in the environment refuses {target} ({said})")
