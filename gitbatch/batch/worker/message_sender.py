"""The messages of a worker to an orchestrator: frames, each as a whole, until nothing can be sent any more."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from gitbatch.batch.executor.frames import MAGIC, pack_frame
from gitbatch.batch.executor.message_codec import encode_message
from gitbatch.batch.executor.messages import FromWorker, JobEvent

_MOST_WAITING = 4 * 1024 * 1024
"""Bytes of lines that may wait to be sent; a line more is dropped."""
_HEAD_BYTES = 8


@dataclass(slots=True)
class MessageSender:
    """The way to one orchestrator. Belongs to one event loop."""

    writer: asyncio.StreamWriter
    is_cut: bool = False
    """Whether nothing is sent any more."""
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def greet(self, hello: FromWorker) -> None:
        """Sends the line that comes before all frames, and the greeting."""
        self.writer.write(MAGIC)
        await self.send(hello)

    def send_later(self, message: FromWorker) -> None:
        """Sends a message without waiting. A line of an agent is dropped while too many wait."""
        transport = self.writer.transport
        is_full = isinstance(message, JobEvent) and transport.get_write_buffer_size() >= _MOST_WAITING
        if not (self.is_cut or transport.is_closing() or is_full):
            self.writer.write(pack_frame(encode_message(message)))

    async def send(self, message: FromWorker) -> None:
        """Sends a message, at the speed of the orchestrator."""
        await self.write_frame(pack_frame(encode_message(message)))

    async def send_file(self, path: Path) -> None:
        """Sends the frames of a result. Whole frames of others may come in between, never in the middle of one.

        Raises:
            OSError: the file cannot be read.
        """
        with path.open("rb") as file:
            while head := file.read(_HEAD_BYTES):
                await self.write_frame(head + file.read(int.from_bytes(head[:4], "big")))

    async def write_frame(self, frame: bytes) -> None:
        """Sends a frame, at the speed of the orchestrator."""
        if self.is_cut:
            return
        async with self._sending:
            self.writer.write(frame)
            try:
                await self.writer.drain()
            except OSError:
                self.is_cut = True
