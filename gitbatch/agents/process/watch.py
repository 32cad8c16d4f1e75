"""The output of a running program: shown line by line as it comes, of which only the last lines are kept.

Secrets are masked before anything is cut or shown. How a line is shown is up to the kind of agent.
"""

import asyncio
import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from math import inf
from pathlib import Path
from typing import NamedTuple

from gitbatch.agents.process.last_lines import LOOKED_AT
from gitbatch.agents.protocol import OutputStream, Progress
from gitbatch.agents.secrets import Secrets
from gitbatch.fs.nofollow import regular_file
from gitbatch.text import CleanText, clean_text

_POLL = 0.2
_TAIL_LINES = 20
_TAIL_BYTES = 64 * 1024
TEXT_LINE = _TAIL_BYTES
"""Bytes of a line of a program that prints text: of a longer one, only the end is read."""
EVENT_LINE = 8 * 1024 * 1024
"""Bytes of a line of a program that prints events, which can quote whole files."""
_LINGER = 10.0
"""Seconds for a program to end after its last line."""
_SHOWN_LINES = 10_000
_LAST_CHUNKS = 16
"""The number of pieces of `_TAIL_BYTES` that are read of the progress file when the program has ended."""


class ShownLine(NamedTuple):
    """A line as it is shown."""

    stream: OutputStream
    text: str
    said_before: str = ""
    """A line of OUTPUT that is shown before it: a text that came in pieces, and is whole now."""


ShowLine = Callable[[OutputStream, str], ShownLine | None]
"""From a line of a program to the line that is shown; None: it is not shown, nor part of the details."""


class ExitWait(Enum):
    """How the wait for a program ended."""

    EXITED = "exited"
    FINISHED = "finished"
    """It has printed its last line, and still runs."""
    TIMED_OUT = "timed out"


class OutputWatch(asyncio.SubprocessProtocol):
    """Receives the output of a program.

    It is a protocol of asyncio, because `asyncio.subprocess.Process.wait` also waits for the pipes (python/cpython#119710): a
    child of the program that holds them open would delay us until the time-out.
    """

    def __init__(
        self,
        progress: Progress,
        progress_file: Path,
        secrets: Secrets,
        show_line: ShowLine,
        line_bytes: int = TEXT_LINE,
        tail_lines: int = _TAIL_LINES,
    ) -> None:
        self.exited = asyncio.Event()
        """The program has ended; its children may not have."""
        self.closed = asyncio.Event()
        """It has ended and no process has its pipes open."""
        self._progress = progress
        self._secrets = secrets
        self._show_line = show_line
        self._line_bytes = line_bytes
        self._tail_lines = tail_lines
        self._file = progress_file
        self._file_at = 0
        self._rests = {stream: bytearray() for stream in OutputStream}
        """The beginning of a line that has no end yet: not masked."""
        self._shown = 0
        self._tails = {stream: deque[CleanText](maxlen=tail_lines) for stream in OutputStream}
        self._whole = {stream: deque[CleanText](maxlen=LOOKED_AT) for stream in OutputStream}
        """The last lines before they were shortened."""
        self._output = b""

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Receives a piece of standard output (1) or standard error (2)."""
        if fd == 1 and self._line_bytes == TEXT_LINE:  # events have no last paragraph
            # Masked before it is cut, here and below: what is left of a value that was cut is a part of a key.
            self._output = self._secrets.mask_bytes(self._output + data)[-_TAIL_BYTES:]
        self._take_chunk(OutputStream.OUTPUT if fd == 1 else OutputStream.ERROR, data)

    def process_exited(self) -> None:
        """Notes that the program has ended."""
        self.exited.set()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Notes that its pipes are closed too."""
        self.closed.set()

    async def wait_for_exit(
        self, patience: float, has_finished: Callable[[], bool], must_end: Callable[[], bool] = lambda: False
    ) -> ExitWait:
        """Waits for the program to end, following its progress file.

        Args:
            patience: the most seconds to wait.
            has_finished: whether the program has printed its last line; some hang after that.
            must_end: whether it may work no longer, whatever it has printed.
        """
        try:
            async with asyncio.timeout(patience) as limit:
                following = asyncio.create_task(self._follow_progress(limit, has_finished, must_end))
                try:
                    await self.exited.wait()
                finally:
                    following.cancel()
        except TimeoutError:
            return ExitWait.FINISHED if has_finished() or must_end() else ExitWait.TIMED_OUT
        return ExitWait.EXITED

    def read_rest(self) -> None:
        """Reads the rest when everything has ended, unfinished lines too."""
        for _ in range(_LAST_CHUNKS):
            if not self._take_progress():
                break
        for stream, rest in self._rests.items():
            self._show_lines(stream, [self._secrets.mask_bytes(bytes(rest))])

    def last_errors(self) -> tuple[CleanText, ...]:
        """Returns the last lines of standard error."""
        return tuple(self._tails[OutputStream.ERROR])

    def last_lines(self) -> tuple[CleanText, ...]:
        """Returns the last lines of standard error; of standard output if that is empty: many programs fail so."""
        return self.last_errors() or tuple(self._tails[OutputStream.OUTPUT])

    def last_of(self, stream: OutputStream) -> tuple[CleanText, ...]:
        """Returns the last lines of one stream."""
        return tuple(self._tails[stream])

    def last_whole_lines(self) -> tuple[CleanText, ...]:
        """Returns the last few lines of both streams, not shortened: the error of a server may be in either."""
        return (*self._whole[OutputStream.ERROR], *self._whole[OutputStream.OUTPUT])

    def last_output(self) -> str:
        """Returns the end of standard output; empty for a program that prints events."""
        return self._output.decode(errors="replace")

    async def _follow_progress(
        self, limit: asyncio.Timeout, has_finished: Callable[[], bool], must_end: Callable[[], bool]
    ) -> None:
        """Reads the progress file again and again, and shortens the wait once the program has finished."""
        loop, lingers = asyncio.get_running_loop(), False
        while True:
            await asyncio.sleep(_POLL)
            self._take_progress()
            if must_end():
                limit.reschedule(loop.time())
                return
            if not lingers and has_finished():
                lingers = True
                limit.reschedule(min(limit.when() or inf, loop.time() + _LINGER))

    def _take_progress(self) -> bool:
        """Reads the next piece of the progress file. Returns false at its end."""
        with suppress(OSError), regular_file(self._file.parent, self._file.name) as (descriptor, _):
            chunk = os.pread(descriptor, _TAIL_BYTES, self._file_at)
            self._file_at += len(chunk)
            self._take_chunk(OutputStream.PROGRESS, chunk)
            return bool(chunk)
        return False

    def _take_chunk(self, stream: OutputStream, chunk: bytes) -> None:
        held = self._rests[stream]
        held += chunk
        if b"\n" not in chunk and len(held) <= self._line_bytes:
            return
        *lines, rest = self._secrets.mask_bytes(bytes(held)).split(b"\n")
        self._rests[stream] = bytearray(rest[-_TAIL_BYTES:] if len(rest) > self._line_bytes else rest)
        # A program that floods us must not keep the other items waiting; but an event may be what it has spent.
        is_flood = self._shown > _SHOWN_LINES and self._line_bytes <= TEXT_LINE
        self._show_lines(stream, lines[-self._tail_lines :] if is_flood else lines)

    def _show_lines(self, stream: OutputStream, lines: list[bytes]) -> None:
        for raw in lines:
            text = raw.decode(errors="replace") if raw.strip() else ""
            shown = self._show_line(stream, text) if text else None
            if shown and shown.said_before:
                self._show(stream, ShownLine(OutputStream.OUTPUT, shown.said_before), text)
            if shown:
                self._show(stream, shown, text)

    def _show(self, stream: OutputStream, shown: ShownLine, text: str) -> None:
        line = self._secrets.clean_masked(shown.text)
        if not line:
            return
        self._tails[stream].append(line)
        self._whole[stream].append(self._secrets.clean_masked(text))
        self._shown += 1
        if self._shown <= _SHOWN_LINES:
            self._progress(shown.stream, line)
        elif self._shown == _SHOWN_LINES + 1:
            self._progress(
                shown.stream, clean_text(f"… more than {_SHOWN_LINES} lines: the rest is not shown")
            )
