"""Frames: messages of known length on a stream of bytes, as values alone.

A frame is the length of its content (4 bytes, big-endian), the CRC-32 of the content (4 bytes), and the content, which ends
with a newline: `srun` passes on whole lines alone, and would keep a short message until the next one has a newline in it. The
length is compared with a limit before anything of the content is kept, so a sender cannot make a reader keep more than
the limit, and one read of it.

What a worker sends begins with a line of its own (`MAGIC`): a shell on the way may print a greeting before it. The end of a
stream never means that a sender was done: there is a message for that (`messages.Bye`).
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct

MAGIC = b"\ngitbatch-worker-stream\n"
"""The line before the first frame of a worker."""
NOISE_BYTES = 64 * 1024
"""The most that is skipped before it."""
_HEAD = Struct(">II")
_END = b"\n"


class FrameError(Exception):
    """The bytes are not frames: nothing that follows them can be read. The message is one line."""


def pack_frame(content: bytes) -> bytes:
    """Returns the frame with a content."""
    line = content + _END
    return _HEAD.pack(len(line), zlib.crc32(line)) + line


@dataclass(slots=True)
class FrameReader:
    """Takes the bytes of a stream as they come, and yields the contents of whole frames."""

    limit: int
    """The most bytes of one content."""
    needs_magic: bool = False
    """Whether `MAGIC` must come before the first frame."""
    _kept: bytearray = field(default_factory=bytearray)

    @property
    def is_in_frame(self) -> bool:
        """Whether a part of a frame has come, and the rest has not."""
        return bool(self._kept)

    @property
    def noise(self) -> bytes:
        """What came before `MAGIC`, while that has not come."""
        return bytes(self._kept) if self.needs_magic else b""

    def take_bytes(self, data: bytes) -> Iterator[bytes]:
        """Yields the content of each frame that is whole with these bytes.

        Raises:
            FrameError: a frame is longer than the limit, or damaged; or `MAGIC` has not come.
        """
        self._kept += data
        if self.needs_magic and not self._skip_noise():
            return
        while len(self._kept) >= _HEAD.size:
            length, checksum = _HEAD.unpack_from(self._kept)
            if length > self.limit + len(_END):
                raise FrameError(f"a message of {length:,} bytes (the most are {self.limit:,})")
            end = _HEAD.size + length
            if len(self._kept) < end:
                return
            with memoryview(self._kept) as kept, kept[_HEAD.size : end] as line:
                is_whole = zlib.crc32(line) == checksum and line[-1:] == _END
                content = bytes(line[:-1])
            del self._kept[:end]
            if not is_whole:
                raise FrameError("a damaged message")
            yield content

    def _skip_noise(self) -> bool:
        """Drops what is before `MAGIC`, and `MAGIC`; false: it has not come yet."""
        found = self._kept.find(MAGIC, 0, NOISE_BYTES + len(MAGIC))
        if found < 0:
            if len(self._kept) > NOISE_BYTES:
                raise FrameError("no worker answers, something else prints (a shell's start-up file?)")
            return False
        del self._kept[: found + len(MAGIC)]
        self.needs_magic = False
        return True
