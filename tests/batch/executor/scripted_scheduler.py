"""A scheduler that says what a test tells it, in the words of Dask."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from gitbatch.project.cluster import ClusterAddress

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
GREETING = {"compression": None, "python": (3, 13, 1), "pickle-protocol": 5}


def pack(*parts: bytes) -> bytes:
    """A message of Dask with these parts."""
    head = struct.pack(f"<{len(parts) + 1}Q", len(parts), *map(len, parts))
    content = head + b"".join(parts)
    return struct.pack("<Q", len(content)) + content


def say(message: object, *more: bytes) -> bytes:
    return pack(msgspec.msgpack.encode(message), *more)


async def take_message(reader: asyncio.StreamReader) -> Any:  # noqa: ANN401 - whatever is said
    [length] = struct.unpack("<Q", await reader.readexactly(8))
    content = await reader.readexactly(length)
    return msgspec.msgpack.decode(content[16:])


@asynccontextmanager
async def serving(script: Script, port: int = 0) -> AsyncIterator[ClusterAddress]:
    """Follow a script with all who connect."""
    tasks = set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        tasks.add(task)
        try:
            await script(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield ClusterAddress(is_encrypted=False, host="127.0.0.1", port=server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(*answers: bytes) -> Script:
    """A scheduler that gives these answers, one to each question, and then is silent."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(say(GREETING))
        assert (await take_message(reader)).keys() == GREETING.keys()
        for answer in answers:
            await take_message(reader)
            writer.write(answer)
        await reader.read()

    return serve


def knowing(announced: list[str]) -> Script:
    """An honest scheduler of workers that announce these addresses; the list may change."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(say(GREETING))
        await take_message(reader)
        while True:
            question = (await take_message(reader))["op"]
            cores = {f"of {each}": 4 for each in announced}
            workers = {f"of {each}": {"gitbatch": each} for each in announced}
            writer.write(say(cores if question == "ncores" else {"workers": workers}))

    return serve
