"""The carrier `dask`: workers are found by the scheduler of a Dask cluster, and connected to at the address that each announces.

Dask starts workers, and knows where they are. Nothing else is done by it: no task is submitted, and no value of a run passes
through it. So Dask need not be installed where a run is, its scheduler may be lost while agents work, and what it
would load as code is never looked at. A worker speaks with runs as one that a command has started does.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from gitbatch.agents.process.children import make_room
from gitbatch.batch.executor.carrier import CarrierTools, ChannelError, WorkerLink
from gitbatch.batch.executor.dask_scheduler import SchedulerConnection
from gitbatch.batch.executor.frames import pack_frame
from gitbatch.batch.executor.message_codec import encode_message
from gitbatch.batch.executor.message_stream import READ_BYTES, SILENCE, MessageStream
from gitbatch.batch.executor.messages import FromWorker, ToWorker
from gitbatch.batch.executor.tls import connect_streams, describe_loss
from gitbatch.batch.planning.tls_files import make_tls_context
from gitbatch.errors import GitbatchError
from gitbatch.project.cluster import parse_address
from gitbatch.text import clean_text, format_count

_POLL = 0.5
"""Seconds between two questions to the scheduler."""
MOST_NAMED = 10_000
"""The most workers of a run, those that have left too: who names others each time does not know any."""
_MOST_TOLD = 100
"""The most lines about a scheduler."""
_AT_ONCE = 32
"""The most workers that are being connected to at the same time."""


class DaskCarrier:
    """The workers of a Dask cluster."""

    may_find_more = True

    def __init__(self, tools: CarrierTools) -> None:
        address = parse_address(tools.table.cluster or "")
        if address is None:
            raise GitbatchError("the cluster has no address", "set executor.cluster, or use --cluster")
        self._address, self._tell = address, tools.tell
        self._links: dict[str, DaskLink] = {}
        files = tools.table.tls if address.is_encrypted else None
        self._context = make_tls_context(files, ssl.Purpose.SERVER_AUTH) if files else None
        self._connecting = asyncio.Semaphore(_AT_ONCE)
        self._problem, self._lack, self._named, self._told = "", "", 0, 0

    @property
    def problem(self) -> str:
        """Why the scheduler names no worker; empty: it names some."""
        return self._problem or self._lack

    async def find_workers(self, join: Callable[[WorkerLink], None]) -> None:
        """Asks the scheduler again and again; while it cannot be reached, the workers that are known remain."""
        while True:
            try:
                connection = await SchedulerConnection.open(
                    await connect_streams(self._address, self._context)
                )
                try:
                    await self._watch(connection, join)
                finally:
                    connection.close()
            except ChannelError as error:
                self._note_problem(str(error))
            await asyncio.sleep(_POLL)

    async def _watch(self, connection: SchedulerConnection, join: Callable[[WorkerLink], None]) -> None:
        while True:
            found = await connection.find_workers()
            self._note_gone(found)
            new = sorted(found - self._links.keys())
            if self._named + len(new) > MOST_NAMED:
                raise ChannelError(f"it has named more than {MOST_NAMED:,} workers")
            self._named += len(new)
            self._note_problem("")
            self._lack = (
                "" if found else f"scheduler {self._address}: {_describe_lack(connection.other_workers)}"
            )
            make_room(len(found))
            for announced in new:
                self._links[announced] = DaskLink(clean_text(announced, 100), self._context, self._connecting)
                join(self._links[announced])
            await asyncio.sleep(_POLL)

    def _note_gone(self, found: frozenset[str]) -> None:
        """Notes which workers the scheduler does not know any more.

        A new scheduler knows none until they have joined it: one that is connected stays the same worker.
        """
        for announced, link in [*self._links.items()]:
            if link.is_gone and not link.is_connected:
                del self._links[announced]
            else:
                link.is_gone = announced not in found

    def _note_problem(self, reason: str) -> None:
        before, said = self._problem, clean_text(reason.removeprefix(f"{self._address}: "))
        self._problem = f"scheduler {self._address}: {said}" if said else ""
        if self._problem and not before:
            known = format_count(len(self._links), "known worker")
            self._tell_some(f"the scheduler {self._address} cannot be reached: {said} ({known})")
        elif before and not self._problem:
            self._tell_some(f"the scheduler {self._address} is there")

    def _tell_some(self, text: str) -> None:
        """Tells what has changed, unless it comes and goes without end."""
        self._told += 1
        if self._told <= _MOST_TOLD:
            self._tell(text)


def _describe_lack(others: int) -> str:
    """Returns what is wrong with a cluster without a worker for runs, by how many others there are."""
    if not others:
        return "it knows no worker"
    return f"none of the {format_count(others, 'worker')} that it knows is for runs, as those of gitbatch worker --connect are"


@dataclass(slots=True, eq=False)
class DaskLink:
    """A worker of the cluster."""

    name: str
    """The address that it announces."""
    context: ssl.SSLContext | None
    connecting: asyncio.Semaphore
    is_gone: bool = False
    """Whether the scheduler does not know it any more."""
    _channel: "StreamChannel | None" = None

    @property
    def is_connected(self) -> bool:
        """Whether its last connection has not ended."""
        return self._channel is not None and not self._channel.writer.is_closing()

    async def connect(self) -> "StreamChannel":
        """Connects to the address."""
        address = parse_address(self.name)
        if address is None:
            raise ChannelError("it announces an address that is not one")
        async with self.connecting:
            self._channel = StreamChannel(*await connect_streams(address, self.context))
        return self._channel


@dataclass(slots=True, eq=False)
class StreamChannel:
    """The connection to such a worker."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    _stream: MessageStream = field(default_factory=lambda: MessageStream(SILENCE))
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    _closing: "asyncio.Task[None] | None" = None

    async def send(self, message: ToWorker) -> None:
        """Sends a message."""
        try:
            self.writer.write(pack_frame(encode_message(message)))
            await self.writer.drain()
        except OSError as error:
            raise ChannelError(describe_loss(error)) from error

    async def receive(self) -> list[FromWorker]:
        """Reads messages."""
        async with self._reading:
            return await self._stream.receive_messages(self._read_some)

    async def _read_some(self) -> bytes:
        try:
            data = await self.reader.read(READ_BYTES)
        except OSError as error:
            raise ChannelError(describe_loss(error)) from error
        if not data:
            raise ChannelError("the connection is gone")
        return data

    async def close(self, patience: float) -> None:
        """Waits until the worker has ended its side, and then ends the connection."""
        if patience <= 0:
            self.writer.transport.abort()
            return
        self._closing = self._closing or asyncio.create_task(self._close(patience))
        await asyncio.shield(self._closing)

    async def _close(self, patience: float) -> None:
        try:
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(patience), self._reading:
                    while await self.reader.read(READ_BYTES):
                        pass
        finally:
            self.writer.transport.abort()
