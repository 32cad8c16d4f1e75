"""The messages of a worker on a stream of bytes: whole ones, each in time, or why nothing of it is believed any more."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from gitbatch.batch.executor.carrier import ChannelError
from gitbatch.batch.executor.frames import FrameError, FrameReader
from gitbatch.batch.executor.message_codec import MessageError, decode_from_worker
from gitbatch.batch.executor.messages import WORKER_FRAME, FromWorker
from gitbatch.text import clean_text

SILENCE = 60.0
"""Seconds without a whole message after which a worker is lost: it shows every 10 seconds that it is there."""
READ_BYTES = 64 * 1024
"""The most that is read at once."""


@dataclass(slots=True)
class MessageStream:
    """The messages of a worker, one after the other."""

    greeting: float
    """Seconds until the line before its first message."""
    _frames: FrameReader = field(default_factory=lambda: FrameReader(WORKER_FRAME, needs_magic=True))

    def read_noise(self, most: int) -> tuple[str, ...]:
        """Returns the last lines of what came instead of a worker, as many as are kept."""
        lines = self._frames.noise.decode(errors="replace").splitlines()
        return tuple(filter(None, map(clean_text, lines)))[-most:]

    async def receive_messages(self, read: Callable[[], Awaitable[bytes]]) -> list[FromWorker]:
        """Returns the next messages; at least one.

        Args:
            read: returns the next bytes; if there will be none, it raises.

        Raises:
            ChannelError: the worker is silent, or what it says is not a message.
        """
        loop, is_new = asyncio.get_running_loop(), self._frames.needs_magic
        limit = self.greeting if is_new else SILENCE
        try:
            async with asyncio.timeout(limit) as timer:
                while True:
                    data = await read()
                    if found := [decode_from_worker(each) for each in self._frames.take_bytes(data)]:
                        return found
                    if is_new and not self._frames.needs_magic:
                        is_new, limit = False, SILENCE
                        timer.reschedule(loop.time() + limit)
        except TimeoutError as error:
            raise ChannelError(f"no message for {limit:g} seconds") from error
        except (FrameError, MessageError) as error:
            raise ChannelError(clean_text(str(error))) from error
