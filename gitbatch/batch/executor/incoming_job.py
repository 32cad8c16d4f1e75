"""The answer to one job as it comes: lines, changed paths, the bytes of the output, and the end.

Nothing here believes a worker: lines are counted, paths are counted, bytes go to a file without being looked at, and more than
was asked for is a breach of the protocol.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

from msgspec import Struct

from gitbatch.agents.protocol import OutputStream, Progress
from gitbatch.batch.executor.carrier import ChannelError
from gitbatch.batch.executor.live_usage import LiveUsage
from gitbatch.batch.executor.messages import (
    MOST_PATHS,
    PATH_CHARACTERS,
    CheckDone,
    JobChanges,
    JobChunk,
    JobEvent,
    JobRefused,
    JobResult,
    JobUsage,
    NoSlot,
    SentFailure,
    SentUsage,
)
from gitbatch.batch.executor.sent_answers import read_usage
from gitbatch.batch.workplace.protocol import Collected, OpenOutput, WorkplaceChanges
from gitbatch.fs.nofollow import NotRegularError
from gitbatch.limits.causes import Cause
from gitbatch.text import CleanText, clean_text

if TYPE_CHECKING:
    import asyncio

MOST_LINES = 10_000
"""Lines of one job that are shown."""
_UNUSED = SentUsage(cost=0.0)


class JobEnd(Struct, frozen=True):
    """The end of a job: what the worker sent, or that it was lost."""

    result: JobResult | CheckDone | None
    lost: str = ""
    """Why the result is missing."""
    refusal: CleanText = CleanText("")
    """What the worker's machine lacks for it: it has not begun."""
    is_elsewhere: bool = False
    """Whether another worker has the result already."""
    slots: int | None = None
    """The jobs that the worker takes at a time now, if it has no slot for this one."""
    is_over_limit: bool = False
    """Whether its agent is to be stopped, as a limit of the batch is reached."""


@dataclass(slots=True)
class IncomingJob:
    """The job that a worker works on, and what has come of it so far. Belongs to one event loop."""

    token: str
    progress: Progress
    purpose: str
    """What it is for, in words that people read: `agent NAME`, `check NAME`, `gate NAME`."""
    most_bytes: int
    file: IO[bytes]
    """Receives the output; it need not take all bytes at once. Its owner closes it."""
    ended: "asyncio.Future[JobEnd]"
    is_check: bool = False
    """Whether it is a check, whose verdict comes back, and which no worker keeps."""
    is_sent: bool = False
    """Whether the worker may have begun with it."""
    live: LiveUsage | None = None
    """What its agent uses; None: it has none."""
    _lines: int = 0
    _received: int = 0
    _characters: int = 0
    _paths: dict[str, list[str]] = field(
        default_factory=lambda: {name: [] for name in WorkplaceChanges.__struct_fields__}
    )

    def take_message(
        self,
        message: JobEvent | JobUsage | JobChanges | JobChunk | JobRefused | NoSlot | JobResult | CheckDone,
    ) -> None:
        """Takes a message of the worker.

        Raises:
            ChannelError: no honest worker sends this.
        """
        if self.ended.done():
            return
        match message:
            case JobEvent():
                self._show_line(message)
            case JobUsage():
                self._count_usage(message)
            case JobChanges():
                self._note_changes(message)
            case JobChunk():
                self._keep_bytes(message.data)
            case _:
                self._take_end(message)

    def _take_end(self, message: JobRefused | NoSlot | JobResult | CheckDone) -> None:
        match message:
            case NoSlot():
                self.ended.set_result(JobEnd(None, slots=message.slots))
            case JobRefused():
                reason = clean_text(message.reason) or CleanText("it refuses")
                self.ended.set_result(JobEnd(None, refusal=reason))
            case CheckDone():
                if not self.is_check:
                    raise ChannelError("a verdict on an item")
                self.ended.set_result(JobEnd(message))
            case JobResult():
                self._require_whole(message)
                self.ended.set_result(JobEnd(message))

    def lose(self, reason: str, *, is_elsewhere: bool = False) -> None:
        """Notes that the worker was lost before the job ended, or that another one has the result."""
        if not self.ended.done():
            self.ended.set_result(JobEnd(None, reason, is_elsewhere=is_elsewhere))

    def collect(self) -> Collected | None:
        """Returns the changes and the source of the output; None: the worktree was removed while the agent ran."""
        result = self._result
        if result is None:
            return Collected(WorkplaceChanges(), self._open_output)
        if result.is_gone:
            return None
        changes = WorkplaceChanges(**{name: tuple(paths) for name, paths in self._paths.items()})
        return Collected(changes, self._open_output)

    @contextmanager
    def _open_output(self) -> Iterator[OpenOutput]:
        result = self._result
        if result is None or result.size is None:
            problem = clean_text(result.problem) if result else ""
            raise NotRegularError(problem) if problem else FileNotFoundError
        self.file.flush()
        os.lseek(self.file.fileno(), 0, os.SEEK_SET)
        yield OpenOutput(self.file.fileno(), result.size)

    @property
    def is_elsewhere(self) -> bool:
        """Whether it has ended because another worker has the result already."""
        return bool(self._end and self._end.is_elsewhere)

    @property
    def is_lost(self) -> bool:
        """Whether its worker was lost after it may have begun."""
        end = self._end
        is_ours = end is not None and not (end.is_elsewhere or end.is_over_limit)
        return self.is_sent and is_ours and bool(end and end.lost)

    @property
    def found_no_slot(self) -> bool:
        """Whether the worker had no slot for it."""
        return bool(self._end and self._end.slots is not None)

    @property
    def slots_left(self) -> int:
        """The jobs that the worker takes at a time now, if it had no slot for this one."""
        return (self._end.slots if self._end else None) or 0

    @property
    def is_over_limit(self) -> bool:
        """Whether its agent is to be stopped, as a limit of the batch is reached."""
        return bool(self._end and self._end.is_over_limit)

    @property
    def has_result(self) -> bool:
        """Whether the worker has sent a result."""
        return self._result is not None

    @property
    def refusal(self) -> CleanText:
        """What the worker's machine lacks for it; empty: it does not say that."""
        return self._end.refusal if self._end else CleanText("")

    @property
    def disk_problem(self) -> CleanText:
        """Why the worker can do no job; empty: it can."""
        answer = self._result.answer if self._result else None
        if not isinstance(answer, SentFailure) or answer.cause is not Cause.DISK:
            return CleanText("")
        return clean_text(answer.reason) or CleanText("its disk fails")

    @property
    def could_not_begin(self) -> bool:
        """Whether the worker could not even start the agent: nothing is paid for, and another one may be able to."""
        return bool(self.disk_problem and self._result and self._result.answer.usage == _UNUSED)

    @property
    def _result(self) -> JobResult | None:
        result = self._end.result if self._end else None
        return result if isinstance(result, JobResult) else None

    @property
    def _end(self) -> JobEnd | None:
        has_ended = self.ended.done() and not self.ended.cancelled() and self.ended.exception() is None
        return self.ended.result() if has_ended else None

    def _keep_bytes(self, data: bytes) -> None:
        self._received += len(data)
        if self._received > self.most_bytes:
            raise ChannelError("more bytes of an output than are allowed")
        left = memoryview(data)
        try:
            while left:  # the file has no buffer: with many items at the same time, buffers would take more than all else
                left = left[self.file.write(left) :]
        except OSError as error:  # our own disk, which halts the batch
            self.ended.set_exception(error)

    def _note_changes(self, message: JobChanges) -> None:
        for name, paths in self._paths.items():
            paths.extend(getattr(message, name))
            self._characters += sum(map(len, getattr(message, name)))
        if sum(map(len, self._paths.values())) > MOST_PATHS:
            raise ChannelError(f"more than {MOST_PATHS:,} changed paths")
        if self._characters > PATH_CHARACTERS:
            raise ChannelError(f"changed paths of more than {PATH_CHARACTERS:,} characters")

    def _show_line(self, message: JobEvent) -> None:
        self._lines += 1
        if self._lines <= MOST_LINES:
            self.progress(message.stream, clean_text(message.line))
        elif self._lines == MOST_LINES + 1:
            self.progress(
                OutputStream.PROGRESS, clean_text(f"(more than {MOST_LINES:,} lines: the rest is not shown)")
            )

    def _count_usage(self, message: JobUsage) -> None:
        if self.live is None:
            raise ChannelError("the usage of what has no agent")
        if not self.live.take_report(read_usage(message.usage)):
            self.ended.set_result(JobEnd(None, "a limit is reached", is_over_limit=True))

    def _require_whole(self, message: JobResult) -> None:
        """Refuses a result whose output did not come, or came in part; and one of a check that is about it."""
        is_failed = isinstance(message.answer, SentFailure) and message.answer.cause is Cause.DISK
        if self.is_check and not is_failed:
            raise ChannelError("an answer to a check that is not a verdict")
        is_too_large = message.size is not None and message.size > self.most_bytes and not self._received
        if self._received != (message.size or 0) and not is_too_large:
            raise ChannelError(f"{self._received:,} of {message.size or 0:,} bytes of an output")
