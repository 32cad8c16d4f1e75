"""Asking the scheduler of a Dask cluster which workers of ours there are, in the words of Dask's protocol.

Dask's own code is not used: it loads the pickles of an answer even if it is asked not to deserialise. An answer is
read by `msgspec` here, as values of known types; all else in it is skipped, and its length is compared with a limit before
it is read.

A message has its length (8 bytes, little-endian), the number of its parts, the length of each, and the parts: the first one
is msgpack, and the others are what it refers to. Both sides begin with a message about themselves.
"""

import asyncio
import struct
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from gitbatch.batch.executor.carrier import ChannelError
from gitbatch.batch.executor.message_stream import READ_BYTES
from gitbatch.batch.executor.tls import PATIENCE, Streams, describe_loss
from gitbatch.text import clean_text

ANSWER_BYTES = 16 * 1024 * 1024
"""The most bytes of any answer."""
_GREETING_BYTES = 64 * 1024
_CORES_BYTES = 2 * 1024 * 1024
"""Those of the answer that has the workers' addresses alone."""
_WORKER_BYTES = 8 * 1024
"""Those of a worker in the other one, which takes about 2 KB of it; as for a greeting are left for all else."""
ANNOUNCED = "gitbatch"
"""The word of a Dask worker about itself that has the address at which it works for runs."""
MOST_WORKERS = 4_096
_JOINING = 64
"""The workers that may join between two answers."""
_MOST_PARTS = 4096
_MOST_CHARACTERS = 200
_WORD = struct.Struct("<Q")
_T = TypeVar("_T")
_Address = Annotated[str, Meta(max_length=300)]
"""Of a Dask worker, which is kept."""


class _Greeting(Struct, frozen=True):
    pass


class _Worker(Struct, frozen=True):
    gitbatch: Raw = Raw()


class _Cluster(Struct, frozen=True):
    workers: Annotated[dict[_Address, _Worker], Meta(max_length=MOST_WORKERS)]


_GREETING: msgspec.msgpack.Decoder[_Greeting] = msgspec.msgpack.Decoder(_Greeting)
_CORES: msgspec.msgpack.Decoder[dict[str, int]] = msgspec.msgpack.Decoder(
    Annotated[dict[_Address, int], Meta(max_length=MOST_WORKERS)]
)
_IDENTITY: msgspec.msgpack.Decoder[_Cluster] = msgspec.msgpack.Decoder(_Cluster)


def _read_short(said: Raw) -> str:
    """Returns a text; empty: it is not one, or too long."""
    if memoryview(said).nbytes > _MOST_CHARACTERS:
        return ""
    try:
        return msgspec.msgpack.decode(said, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


@dataclass(slots=True)
class SchedulerConnection:
    """A connection to a scheduler."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    _known: frozenset[str] = frozenset()
    """The addresses of the workers at the last answer, as Dask has them."""
    _announced: frozenset[str] = frozenset()

    @property
    def other_workers(self) -> int:
        """The workers of the scheduler that announced no address for runs at the last answer, if none did."""
        return 0 if self._announced else len(self._known)

    @classmethod
    async def open(cls, streams: Streams) -> "SchedulerConnection":
        """Greets a scheduler, and returns the connection.

        Raises:
            ChannelError: it does not greet as a scheduler does.
        """
        made = cls(*streams)
        try:
            await made._receive(_GREETING, _GREETING_BYTES)
            await made._send({"compression": None, "python": sys.version_info[:3], "pickle-protocol": 4})
        except BaseException:
            made.close()
            raise
        return made

    async def find_workers(self) -> frozenset[str]:
        """Returns what each worker of ours announces as its address.

        Raises:
            ChannelError: the scheduler is gone, silent, or does not answer as one does.
        """
        cores = await self._ask("ncores", _CORES, _CORES_BYTES)
        known = frozenset(cores)
        if known != self._known:
            most = min(ANSWER_BYTES, _GREETING_BYTES + _WORKER_BYTES * (len(known) + _JOINING))
            said = (await self._ask("identity", _IDENTITY, most)).workers
            self._announced = frozenset(_read_short(worker.gitbatch) for worker in said.values()) - {""}
            self._known = frozenset(said)
        return self._announced

    def close(self) -> None:
        """Ends the connection."""
        self.writer.transport.abort()

    async def _ask(self, question: str, decoder: msgspec.msgpack.Decoder[_T], most: int) -> _T:
        await self._send({"op": question, "reply": True})
        return await self._receive(decoder, most)

    async def _send(self, message: dict[str, object]) -> None:
        part = msgspec.msgpack.encode(message)
        head = _WORD.pack(1) + _WORD.pack(len(part))
        try:
            self.writer.write(_WORD.pack(len(head) + len(part)) + head + part)
            async with asyncio.timeout(PATIENCE):
                await self.writer.drain()
        except OSError as error:
            raise ChannelError(describe_loss(error)) from error

    async def _receive(self, decoder: msgspec.msgpack.Decoder[_T], most: int) -> _T:
        """Returns the next message, of a number of bytes at most; the parts that it refers to are read, and dropped."""
        try:
            async with asyncio.timeout(PATIENCE):
                return decoder.decode(await self._read_message(most))
        except TimeoutError as error:
            raise ChannelError(f"no answer for {PATIENCE:g} seconds") from error
        except (OSError, EOFError) as error:
            raise ChannelError(describe_loss(error)) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ChannelError(clean_text(f"it does not answer as a scheduler does: {error}")) from error

    async def _read_message(self, most: int) -> bytearray:
        await self._read_word()  # of all parts but those that are long
        count = await self._read_word()
        if not 0 < count <= _MOST_PARTS:
            raise ChannelError(f"it does not answer as a scheduler does: {count:,} parts")
        lengths = [await self._read_word() for _ in range(count)]
        if sum(lengths) > most:
            raise ChannelError(f"an answer of {sum(lengths):,} bytes (the most are {most:,})")
        first, end = bytearray(lengths[0]), 0  # filled as it comes: the stream would keep it twice
        async for data in self._read_some(lengths[0]):
            end += len(data)
            first[end - len(data) : end] = data
        async for _ in self._read_some(sum(lengths[1:])):
            pass
        return first

    async def _read_some(self, length: int) -> AsyncIterator[bytes]:
        """Yields a number of bytes as they come."""
        while length:
            data = await self.reader.read(min(length, READ_BYTES))
            if not data:
                raise EOFError
            length -= len(data)
            yield data

    async def _read_word(self) -> int:
        number: int = _WORD.unpack(await self.reader.readexactly(_WORD.size))[0]
        return number
