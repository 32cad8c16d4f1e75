"""What a running batch does at this moment, from the events that its process logs.

Git alone says what is done: a view reads the log, and a run that is resumed finds out there which workers to wait a moment
for. A process without a sandbox can write it, so each line may be anything, and every text is cleaned.
"""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.model import ItemStatus
from gitbatch.fs.nofollow import regular_file
from gitbatch.plan.model import ItemKey
from gitbatch.text import CleanText, clean_text

LOG = "events.jsonl"
NO_SLOT = "waits for a slot of a worker"
"""What an item does that has started, and whose agent does not work yet."""
_PROGRESS = b'"event":"item-progress"'
_ITEM = b'"slug":"'


class ItemPhase(StrEnum):
    """What an item does."""

    RUNNING = "running"
    WAITING = "waiting"
    """It starts again: an attempt failed, or the server was busy; or it has no slot of a worker yet."""
    FINISHED = "finished"


class BatchPause(StrEnum):
    """What a whole batch waits for."""

    REVIEW = "review"
    CONFIGURATION = "configuration"
    SERVER = "server"
    GATE = "gate"


class ItemActivity(Struct, frozen=True):
    """What an item of a running batch does, or how it ended before its group's checkpoint."""

    phase: ItemPhase
    since: float
    """Seconds since the epoch."""
    attempt: int = 0
    """The attempt that runs, or the last one that ended."""
    line: CleanText = CleanText("")
    """The last line that its agent showed."""
    reason: CleanText = CleanText("")
    """Why the last attempt failed, or why the item waits."""
    status: ItemStatus | None = None
    """The result of a finished item."""
    is_early: bool = False
    """Whether the attempt started before the item's group."""
    host: CleanText = CleanText("")
    """The other machine that its agent works on; empty: this one."""
    charged: float | None = None
    """US dollars of the attempt so far; None: none is known."""


class BatchActivity(Struct, frozen=True):
    """What the process that runs a batch does."""

    items: Mapping[ItemKey, ItemActivity] = {}
    """By key: the items that it has started."""
    pause: BatchPause | None = None
    """What all of the batch waits for; None: its items run."""
    until: float = 0.0
    """Seconds since the epoch: how long a server is waited for."""


class _LoggedItem(Struct, frozen=True):
    slug: ItemKey


class _LoggedOutcome(Struct, frozen=True):
    item: _LoggedItem
    status: ItemStatus
    reason: str = ""
    attempts: int = 1


class _LoggedUsage(Struct, frozen=True):
    cost: float | None = None


class _LoggedEvent(Struct, frozen=True):
    """The fields of all events that count here; see `events.py`."""

    event: str
    at: float = 0.0
    slug: ItemKey = ItemKey("")
    attempt: int = 0
    line: str = ""
    check: str = ""
    host: str = ""
    reason: str = ""
    seconds: float = 0.0
    early: bool = False
    usage: _LoggedUsage | None = None
    outcome: _LoggedOutcome | None = None


_PAUSES = {
    "checkpoint": BatchPause.REVIEW,
    "config-changed": BatchPause.CONFIGURATION,
    "batch-waiting": BatchPause.SERVER,
    "gate-started": BatchPause.GATE,
}
"""The events after which nothing else comes as long as the batch waits, but for early items."""
_OUTLASTING = {"checkpoint", "gate-started"}
"""Those after which early items run on: only what is about no item ends the wait."""


def read_activity(own_dir: Path, batch: str, since: float) -> BatchActivity:
    """Returns what the process does that runs a batch since a time.

    The log is read once from its start; lines of agents are decoded only if they are an item's last one.
    """
    with (
        suppress(OSError),
        regular_file(own_dir, f"{batch}/{LOG}") as (file, _),
        open(file, "rb", closefd=False) as lines,
    ):
        return _follow_events(lines, since)
    return BatchActivity()


def find_last_hosts(own_dir: Path, batch: str, items: Collection[ItemKey]) -> frozenset[CleanText]:
    """Returns the other machines that items were sent to last, without an end that is logged: they may have the results."""
    hosts: dict[ItemKey, CleanText] = {}
    with (
        suppress(OSError),
        regular_file(own_dir, f"{batch}/{LOG}") as (file, _),
        open(file, "rb", closefd=False) as lines,
    ):
        for line in lines:
            event = None if _PROGRESS in line[:80] else _decode_event(line)
            if event and event.event == "item-sent" and event.slug in items:
                hosts[event.slug] = clean_text(event.host, 100)
            elif event and event.outcome and event.event in {"attempt-failed", "item-finished"}:
                hosts.pop(event.outcome.item.slug, None)
    return frozenset(hosts.values())


def _follow_events(lines: Iterable[bytes], since: float) -> BatchActivity:
    found: dict[ItemKey, ItemActivity] = {}
    last_lines: dict[bytes, bytes] = {}
    last = _LoggedEvent("")
    for line in lines:
        if _PROGRESS in line[:80]:
            last_lines[line.partition(_ITEM)[2].partition(b'","')[0]] = line
        elif event := _decode_event(line):
            if event.event == "batch-started":
                found.clear()
                last_lines.clear()
            _add_event(found, event)
            if not (last.event in _OUTLASTING and (event.slug or event.outcome)):
                last = event
    for line in last_lines.values():
        if event := _decode_event(line):
            _add_event(found, event)
    items = {key: activity for key, activity in found.items() if activity.since >= since}
    pause = _PAUSES.get(last.event) if last.at >= since else None
    return BatchActivity(items, pause, last.at + last.seconds)


def _decode_event(line: bytes) -> _LoggedEvent | None:
    with suppress(msgspec.DecodeError):
        return msgspec.json.decode(line, type=_LoggedEvent)
    return None  # half a line, which is being written, or another version's


def _note_machine(before: ItemActivity, event: _LoggedEvent) -> ItemActivity:
    """Returns what an item does that is sent to another machine, or waits for a slot of one."""
    if event.event == "item-queued":
        return replace(before, phase=ItemPhase.WAITING, host=CleanText(""), reason=clean_text(NO_SLOT))
    reason = before.reason if before.reason != NO_SLOT else CleanText("")
    return replace(before, phase=ItemPhase.RUNNING, host=clean_text(event.host, 100), reason=reason)


def _add_event(found: dict[ItemKey, ItemActivity], event: _LoggedEvent) -> None:
    before, outcome = found.get(event.slug), event.outcome
    match event.event:
        case "item-started":
            reason = before.reason if before else CleanText("")
            running = ItemActivity(ItemPhase.RUNNING, event.at, event.attempt, reason=reason)
            found[event.slug] = replace(running, is_early=event.early)
        case "item-progress" if before and before.phase is ItemPhase.RUNNING and before.since <= event.at:
            found[event.slug] = replace(before, line=clean_text(event.line))
        case "item-sent" | "item-queued" if before:
            found[event.slug] = _note_machine(before, event)
        case "item-charged" if before and event.usage and event.usage.cost is not None:
            found[event.slug] = replace(before, charged=(before.charged or 0.0) + event.usage.cost)
        case "check-started":
            line = clean_text(f"check {event.check}")
            began = before or ItemActivity(ItemPhase.RUNNING, event.at, event.attempt)
            found[event.slug] = replace(began, line=line)
        case "item-waiting":
            attempt = before.attempt if before else 0
            found[event.slug] = ItemActivity(
                ItemPhase.WAITING, event.at, attempt, reason=clean_text(event.reason)
            )
        case "attempt-failed" | "item-finished" if outcome:
            is_last = event.event == "item-finished"
            found[outcome.item.slug] = ItemActivity(
                ItemPhase.FINISHED if is_last else ItemPhase.WAITING,
                event.at,
                outcome.attempts,
                reason=clean_text(outcome.reason),
                status=outcome.status if is_last else None,
            )
