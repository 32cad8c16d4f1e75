"""What the log of a batch has about one item, read while it is written: for `gitbatch logs` and `gitbatch show`.

A process without a sandbox can write the log, so each line may be anything, and every text is cleaned.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct

from gitbatch.agents.protocol import OutputStream
from gitbatch.batch.history.activity import LOG, NO_SLOT
from gitbatch.batch.model import ItemStatus
from gitbatch.checks.verdict import VERDICT_WORDS, CheckVerdict
from gitbatch.fs.nofollow import regular_file
from gitbatch.plan.model import ItemKey
from gitbatch.text import CleanText, clean_text, format_seconds, name_host


class LogKind(StrEnum):
    """What a line of an item's log is about."""

    START = "start"
    """An attempt starts."""
    SENT = "sent"
    """It works on another machine."""
    LINE = "line"
    """The agent showed a line."""
    CHECK = "check"
    WAIT = "wait"
    """The server was too busy: the attempt starts again."""
    AGAIN = "again"
    """The attempt failed, and there is another one."""
    END = "end"
    """The item has a result."""


class LogLine(Struct, frozen=True):
    """A line of an item's log."""

    at: float
    """Seconds since the epoch."""
    attempt: int
    kind: LogKind
    text: CleanText
    stream: OutputStream | None = None
    """Of a line that the agent showed."""


class _LogItem(Struct, frozen=True):
    slug: ItemKey


class _LogOutcome(Struct, frozen=True):
    item: _LogItem
    status: ItemStatus
    reason: str = ""
    attempts: int = 0
    seconds: float = 0.0


class _LogCheck(Struct, frozen=True):
    name: str
    verdict: CheckVerdict
    seconds: float = 0.0
    reason: str = ""
    host: str = ""


class _LoggedLine(Struct, frozen=True):
    """The fields that count here of the events about items; see `events.py`."""

    event: str
    at: float = 0.0
    slug: ItemKey = ItemKey("")
    attempt: int = 0
    agent: str = ""
    stream: OutputStream | None = None
    line: str = ""
    reason: str = ""
    host: str = ""
    early: bool = False
    result: _LogCheck | None = None
    outcome: _LogOutcome | None = None


class LogFile:
    """The log of a batch, read from where the last reading ended. It need not exist yet."""

    def __init__(self, own_dir: Path, batch: str) -> None:
        self._own_dir = own_dir
        self._path = f"{batch}/{LOG}"
        self._offset = 0

    def read_lines(self) -> Iterator[bytes]:
        """Yields the lines that are complete and were not read yet. A log that was removed has none."""
        with (
            suppress(OSError),
            regular_file(self._own_dir, self._path) as (file, _),
            open(file, "rb", closefd=False) as stream,
        ):
            stream.seek(self._offset)
            for line in stream:
                if not line.endswith(b"\n"):
                    return  # half a line, which is being written
                self._offset += len(line)
                yield line

    def skip_to_last(self, event: bytes) -> bool:
        """Goes back to the last event of a kind; without one, to the start, and returns false."""
        self._offset = at = 0
        found, mark = None, b'"event":"%s"' % event
        for line in self.read_lines():
            if mark in line[:80]:
                found = at
            at += len(line)
        self._offset = found or 0
        return found is not None


class ItemLog:
    """Picks the lines about an item from a log, in order."""

    def __init__(self, item: ItemKey) -> None:
        self._item = item
        self._mark = b'"slug":%s' % msgspec.json.encode(item)
        self._attempt = 0
        self.is_finished = False
        """Whether the last line said how the item ended."""

    def pick_lines(self, lines: Iterable[bytes]) -> Iterator[LogLine]:
        """Yields the lines about the item."""
        for line in lines:
            if self._mark in line and (found := self._read_line(line)):
                yield found

    def _read_line(self, line: bytes) -> LogLine | None:
        with suppress(msgspec.DecodeError):
            entry = msgspec.json.decode(line, type=_LoggedLine)
            if self._item in {entry.slug, entry.outcome.item.slug if entry.outcome else ""}:
                return self._describe_entry(entry)
        return None  # another item, or another version's event

    def _describe_entry(self, entry: _LoggedLine) -> LogLine | None:
        self.is_finished = entry.event == "item-finished"
        if entry.event == "item-started":
            self._attempt = entry.attempt
        described = _describe_event(entry)
        if described is None:
            return None
        kind, text = described
        stream = entry.stream if kind is LogKind.LINE else None
        return LogLine(entry.at, self._attempt, kind, clean_text(text), stream)


def _describe_event(entry: _LoggedLine) -> tuple[LogKind, str] | None:
    match entry.event:
        case "item-started":
            early = ", before its group" if entry.early else ""
            return LogKind.START, f"attempt {entry.attempt} starts{early} (agent {entry.agent})"
        case "item-sent":
            return LogKind.SENT, f"sent to {entry.host}"
        case "item-progress":
            return LogKind.LINE, entry.line
        case "item-waiting" | "item-queued":
            return LogKind.WAIT, f"waits: {entry.reason}" if entry.reason else NO_SLOT
        case "check-finished" if result := entry.result:
            words = f"check {result.name} {VERDICT_WORDS[result.verdict]} ({result.seconds:.1f} s{name_host(result.host)})"
            return LogKind.CHECK, _add_reason(words, result.reason)
    return _describe_outcome(entry.event, entry.outcome) if entry.outcome else None


def _describe_outcome(event: str, outcome: _LogOutcome) -> tuple[LogKind, str] | None:
    if event == "attempt-failed":
        return LogKind.AGAIN, _add_reason(f"attempt {outcome.attempts} failed", outcome.reason)
    words = f"{outcome.status} after {format_seconds(outcome.seconds)}"
    return (LogKind.END, _add_reason(words, outcome.reason)) if event == "item-finished" else None


def _add_reason(words: str, reason: str) -> str:
    return f"{words}: {reason}" if reason else words


def read_item_log(own_dir: Path, batch: str, item: ItemKey) -> tuple[LogLine, ...]:
    """Returns all lines about an item, of all attempts; none if the log is gone, or its agent has not started."""
    return tuple(ItemLog(item).pick_lines(LogFile(own_dir, batch).read_lines()))


def follow_item_log(
    own_dir: Path,
    batch: str,
    item: ItemKey,
    is_running: Callable[[], bool],
    wait: Callable[[], None],
) -> Iterator[LogLine]:
    """Yields the lines about an item as they come, until it has a result or its batch no longer runs.

    Args:
        own_dir: gitbatch's own folder in the repository.
        batch: the id of the batch.
        item: the item.
        is_running: whether a process runs the batch.
        wait: waits for a moment.
    """
    log, picked = LogFile(own_dir, batch), ItemLog(item)
    while True:
        will_end = not is_running()  # before the reading: nothing that it wrote is missed
        yield from picked.pick_lines(log.read_lines())
        if picked.is_finished or will_end:
            return
        wait()


def select_attempt(lines: Iterable[LogLine], attempt: int | None) -> tuple[LogLine, ...]:
    """Returns the lines of the attempts with a number; if none is named, of the one that started last.

    Numbers start again when an item was sent back.
    """
    listed = tuple(lines)
    if attempt is not None:
        return tuple(line for line in listed if line.attempt == attempt)
    starts = [at for at, line in enumerate(listed) if line.kind is LogKind.START]
    return listed[starts[-1] :] if starts else listed


def list_last_errors(lines: Iterable[LogLine], most: int) -> tuple[CleanText, ...]:
    """Returns the last lines that an agent wrote to standard error."""
    errors = tuple(line.text for line in lines if line.stream is OutputStream.ERROR)
    return errors[-most:]
