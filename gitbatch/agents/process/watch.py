"""What a running program says, as it says it: shown line by line, and kept only to its last lines.

Secrets are replaced before anything is cut or shown, JSON is shown short.
"""

import asyncio
import os
from collections import deque
from contextlib import suppress
from pathlib import Path

from gitbatch.agents.json_text import shorten_json
from gitbatch.agents.process.last_lines import LOOKED_AT
from gitbatch.agents.protocol import OutputStream, Progress
from gitbatch.agents.secrets import Secrets
from gitbatch.fs.nofollow import regular_file
from gitbatch.text import CleanText, clean_text

_POLL = 0.2
_TAIL_LINES = 20
_TAIL_BYTES = 64 * 1024
_SHOWN_LINES = 10_000
_LAST_CHUNKS = 16
"""How much of the progress file is read when the program has ended, in pieces of `_TAIL_BYTES`."""


class Watch(asyncio.SubprocessProtocol):
    """What a running program says, as it says it; keeps only the ends.

    A protocol, because `asyncio.subprocess.Process.wait` also waits for the pipes (python/cpython#119710): a
    child of the program that holds them open would hold us up until the time-out.
    """

    def __init__(self, progress: Progress, progress_file: Path, secrets: Secrets) -> None:
        self.exited = asyncio.Event()
        """The program has ended; its children may not have."""
        self.closed = asyncio.Event()
        """It has ended and nobody holds its pipes."""
        self._progress = progress
        self._secrets = secrets
        self._file = progress_file
        self._file_at = 0
        self._rests = dict.fromkeys(OutputStream, b"")
        self._shown = 0
        self._tails = {stream: deque[CleanText](maxlen=_TAIL_LINES) for stream in OutputStream}
        self._whole = {stream: deque[CleanText](maxlen=LOOKED_AT) for stream in OutputStream}
        """The last lines as they were before they were shown short."""
        self._output = b""

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Take in a piece of standard output (1) or standard error (2)."""
        if fd == 1:
            # Masked before it is cut, here and below: what is left of a value that was cut is a part of a key.
            self._output = self._secrets.mask_bytes(self._output + data)[-_TAIL_BYTES:]
        self._take(OutputStream.OUTPUT if fd == 1 else OutputStream.ERROR, data)

    def process_exited(self) -> None:
        """Note that the program has ended."""
        self.exited.set()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Note that its pipes are closed too."""
        self.closed.set()

    async def until_exit(self, patience: float) -> bool:
        """Wait for the program to end, following its progress file; false if it takes too long."""
        following = asyncio.ensure_future(self._follow())
        try:
            async with asyncio.timeout(patience):
                await self.exited.wait()
        except TimeoutError:
            return False
        finally:
            following.cancel()
        return True

    def finish(self) -> None:
        """Take in what is left when everything has ended, unfinished lines too."""
        for _ in range(_LAST_CHUNKS):
            if not self._take_progress():
                break
        for stream, rest in self._rests.items():
            self._show(stream, [rest])

    def last_errors(self) -> tuple[CleanText, ...]:
        """The last lines of standard error."""
        return tuple(self._tails[OutputStream.ERROR])

    def last_lines(self) -> tuple[CleanText, ...]:
        """The last lines of standard error; of standard output where that says nothing: many programs fail so."""
        return self.last_errors() or tuple(self._tails[OutputStream.OUTPUT])

    def last_whole_lines(self) -> tuple[CleanText, ...]:
        """The last few lines of both, not shown short: what a server said may stand in either."""
        return (*self._whole[OutputStream.ERROR], *self._whole[OutputStream.OUTPUT])

    def last_output(self) -> str:
        """The end of standard output."""
        return self._output.decode(errors="replace")

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_POLL)
            self._take_progress()

    def _take_progress(self) -> bool:
        """Take in the next piece of the progress file, if there is one."""
        with suppress(OSError), regular_file(self._file.parent, self._file.name) as (descriptor, _):
            chunk = os.pread(descriptor, _TAIL_BYTES, self._file_at)
            self._file_at += len(chunk)
            self._take(OutputStream.PROGRESS, chunk)
            return bool(chunk)
        return False

    def _take(self, stream: OutputStream, chunk: bytes) -> None:
        *lines, rest = self._secrets.mask_bytes(self._rests[stream] + chunk).split(b"\n")
        self._rests[stream] = rest[-_TAIL_BYTES:]
        # A program that floods us must not keep the other items waiting.
        self._show(stream, lines if self._shown <= _SHOWN_LINES else lines[-_TAIL_LINES:])

    def _show(self, stream: OutputStream, lines: list[bytes]) -> None:
        for raw in lines:
            text = raw.decode(errors="replace") if raw.strip() else ""
            line = clean_text(shorten_json(text))
            if not line:
                continue
            self._tails[stream].append(line)
            self._whole[stream].append(clean_text(text))
            self._shown += 1
            if self._shown <= _SHOWN_LINES:
                self._progress(stream, line)
            elif self._shown == _SHOWN_LINES + 1:
                self._progress(stream, clean_text(f"… more than {_SHOWN_LINES} lines: the rest is not shown"))
