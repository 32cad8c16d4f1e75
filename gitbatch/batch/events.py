"""Everything that happens in a run, as values on one stream. Views and the log only listen.

As JSON, an event is one object on one line, with the schema's version, its kind and the time. A new kind is one class
here and its name in one of the unions at the end: the type checker then finds each view that does not show it.
"""

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from gitbatch.agents.protocol import OutputStream
from gitbatch.batch.model import MOST_OUTCOMES, Checkpoint, FailedItem, Outcome
from gitbatch.checks.verdict import CheckResult
from gitbatch.limits.causes import Cause, WaitReason
from gitbatch.limits.usage import Spent, Usage
from gitbatch.plan.model import ItemKey
from gitbatch.text import CleanText

SCHEMA = 2
"""The version of the JSON that the commands print and of the event log; 1: gitbatch 0.1."""
CHANGED_CONFIG = "gitbatch.toml names other programs, hosts, keys or paths than the batch was started with"


class BaseEvent(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", tag=str.lower):
    """Something that happened. `at`: seconds since the epoch, set by the stream."""

    schema: int = SCHEMA
    batch: str
    at: float = 0.0


class BatchStarted(BaseEvent, frozen=True, tag="batch-started"):
    """A batch starts, or resumes after an interruption."""

    resumed: bool
    target: str
    mode: str
    agent: str
    jobs: int
    sandbox: str
    """The kinds of sandbox that the agents run in; empty: none of them is a process."""
    groups: int
    items: int
    worktrees: str = ""
    """The kind of worktree, and why it is not a better one."""
    readable: tuple[str, ...] = ()
    """What of the user's checkout the programs of agents may read."""
    groups_done: int = 0
    items_done: int = 0
    """Items of the recorded groups, however they ended."""
    max_cost: float | None = None
    """US dollars that the batch may cost; None: no limit."""
    max_tokens: int | None = None
    spent: Spent = Spent()
    """By earlier starts."""
    eager: str = "off"
    """Whether items start before their group: off, on or while-paused."""
    eager_reason: str = ""
    """Why that is so, as a code."""


class GroupStarted(BaseEvent, frozen=True, tag="group-started"):
    """The items of a group are about to run."""

    position: int
    of: int
    group: int
    """Its number in the plan."""
    title: str
    items: tuple[str, ...]
    """Outputs of the items that are still to run."""
    already: tuple[str, ...]
    """Outputs of items that an earlier start of the batch had finished."""
    revision: int = 0
    """The number of the revision, if items run again after a review; 0: the group runs for the first time."""


class _BaseItemEvent(BaseEvent, frozen=True):
    """Something that happened to an item."""

    slug: ItemKey
    """The item's key: what all of its events have in common."""
    group: int
    """The number of its group in the plan."""
    item: str
    """Its output, unique in the group."""


class ItemStarted(_BaseItemEvent, frozen=True, tag="item-started"):
    """An item's worktree exists and its agent starts."""

    name: str
    agent: str
    attempt: int
    context: tuple[str, ...]
    missing: tuple[str, ...] = ()
    """Files that the item is meant to read and does not get, each with the reason."""
    early: bool = False
    """Whether its group has not begun yet."""


class ItemProgress(_BaseItemEvent, frozen=True, tag="item-progress"):
    """A line that an agent showed."""

    stream: OutputStream
    line: CleanText


class ItemQueued(_BaseItemEvent, frozen=True, tag="item-queued"):
    """An item that has started waits for a slot of another machine: its agent does not work yet."""


class ItemSent(_BaseItemEvent, frozen=True, tag="item-sent"):
    """An item's agent works on another machine."""

    name: str
    host: CleanText
    """The name of that machine's worker."""


class ItemCharged(_BaseItemEvent, frozen=True, tag="item-charged"):
    """An item that runs has used something whose cost is known; the end of its attempt has the sum."""

    usage: Usage
    """Since the event before."""


class AttemptFailed(BaseEvent, frozen=True, tag="attempt-failed"):
    """An attempt at an item failed, and the item is tried again, at once or when the batch resumes."""

    outcome: Outcome
    left: int
    """Attempts that are left, the next one included."""
    counts: bool = True
    """Whether the one that failed was one of the item's; not if it ended the run."""


class ItemWaiting(_BaseItemEvent, frozen=True, tag="item-waiting"):
    """The server was too busy for an item: it starts again when the others do. No attempt is counted."""

    name: str
    reason: CleanText
    usage: Usage


class BatchWaiting(BaseEvent, frozen=True, tag="batch-waiting"):
    """A server is busy or out of reach: no request is sent and no item starts for some seconds."""

    seconds: float
    reason: WaitReason = WaitReason.SERVER_BUSY


class ItemFinished(BaseEvent, frozen=True, tag="item-finished"):
    """An item has an outcome; a success is in git when this is sent."""

    outcome: Outcome


class CheckStarted(_BaseItemEvent, frozen=True, tag="check-started"):
    """A check of an item's output starts."""

    name: str
    """The item's."""
    check: str


class CheckFinished(_BaseItemEvent, frozen=True, tag="check-finished"):
    """A check of an item's output has ended; its verdict decides nothing before all checks have one."""

    name: str
    """The item's."""
    result: CheckResult


class GateStarted(BaseEvent, frozen=True, tag="gate-started"):
    """A gate starts to run on a tree."""

    group: int
    """The number of the group in the plan."""
    gate: str
    tree: str
    items: tuple[str, ...]
    """The outputs of the group that the tree has; none: its base, or the shared files alone."""
    of: int
    """The number of items of the group that have an output."""


class GateFinished(BaseEvent, frozen=True, tag="gate-finished"):
    """A run of a gate has ended."""

    group: int
    gate: str
    tree: str
    result: str
    """`pass`, `skip`, `red` or `unavailable`."""
    seconds: float
    reason: CleanText = CleanText("")
    """Empty if it passed."""
    details: tuple[CleanText, ...] = ()
    """The last lines that it wrote."""
    host: CleanText = CleanText("")
    """The other machine that it ran on; empty: this one."""


class CheckpointReached(BaseEvent, frozen=True, tag="checkpoint"):
    """A group is recorded: the target branch has moved."""

    checkpoint: Checkpoint


class CheckTime(msgspec.Struct, frozen=True):
    """The time of the items whose outputs were checked. Checks that run side by side count once."""

    agents: float = 0.0
    checks: float = 0.0

    def add_outcome(self, outcome: Outcome) -> "CheckTime":
        """Returns the time with that of an item, all of its attempts together; the same for one without checks."""
        attempts = (*(tried.checks for tried in outcome.earlier), outcome.checks)
        slowest = sum(max((result.seconds for result in results), default=0.0) for results in attempts)
        if not any(attempts):
            return self
        return CheckTime(round(self.agents + outcome.seconds, 3), round(self.checks + slowest, 3))


class FinalEvent(BaseEvent, frozen=True, kw_only=True):
    """The end of a run, with what is left for the user to look at."""

    failures: tuple[FailedItem, ...] = ()
    """The items of the batch that did not succeed, over all starts."""
    seconds: float = 0.0
    """The time that this start of the batch took."""
    spent: Spent = Spent()
    """By all starts."""
    check_time: CheckTime = CheckTime()
    """Of the groups that this start has recorded."""


class EarlyWork(msgspec.Struct, frozen=True):
    """The early items of later groups at a pause."""

    done: int = 0
    running: int = 0
    spent: Spent = Spent()
    """The usage of all of them so far, as far as it is known."""


class BatchPaused(FinalEvent, frozen=True, tag="batch-paused"):
    """The batch waits for a review."""

    next_group: str
    """Empty: no group is left, and the next run ends the batch."""
    early: EarlyWork = EarlyWork()
    """The items of later groups that are done: each runs again if a review changes what it read. None runs any more."""


class BatchStopped(FinalEvent, frozen=True, tag="batch-stopped"):
    """A hard stop (rules O6, K4)."""

    reason: str
    advice: str
    open_items: tuple[str, ...] = ()
    """The names of the items that do not run because every criterion is ticked."""


class BatchHalted(FinalEvent, frozen=True, tag="batch-halted"):
    """No further item was started, and those that ran have ended; the next start resumes the batch."""

    cause: Cause
    reason: CleanText
    advice: str
    back_at: float | None
    """Seconds since the epoch: when the server wants to be asked again."""
    items_left: int


class ConfigChanged(BaseEvent, frozen=True, tag="config-changed"):
    """gitbatch.toml names other programs, hosts, keys or paths than the batch was started with.

    They are not used before the user has accepted them (a notice then says so); otherwise the run ends.
    """

    difference: tuple[str, ...]
    """Lines of `key = value`, each after `- ` or `+ `."""


class BatchFinished(FinalEvent, frozen=True, tag="batch-finished"):
    """Nothing of the batch is left to do."""

    succeeded: int
    failed: int


class Notice(BaseEvent, frozen=True, tag="notice"):
    """A message for the user that stops nothing."""

    text: str


BatchEvent: TypeAlias = (
    BatchStarted | BatchWaiting | GroupStarted | CheckpointReached | ConfigChanged | Notice
)
ItemEvent: TypeAlias = (
    ItemStarted
    | ItemProgress
    | ItemQueued
    | ItemSent
    | ItemCharged
    | ItemWaiting
    | CheckStarted
    | CheckFinished
    | AttemptFailed
    | ItemFinished
)
GateEvent: TypeAlias = GateStarted | GateFinished
EndEvent: TypeAlias = BatchPaused | BatchStopped | BatchHalted | BatchFinished
"""The last event of a run."""
Event: TypeAlias = BatchEvent | ItemEvent | GateEvent | EndEvent
"""Every event: a view matches all of them, with `assert_never` for the rest."""

Listener = Callable[[Event], None]


def encode_event(event: Event) -> str:
    """Returns an event as one line of JSON, with an item's commit as its id; a checkpoint of many items by its failures."""
    if isinstance(event, CheckpointReached):
        event = msgspec.structs.replace(event, checkpoint=_shorten_checkpoint(event.checkpoint))
    return msgspec.json.encode(event, enc_hook=str).decode()


def _shorten_checkpoint(checkpoint: Checkpoint) -> Checkpoint:
    """Returns a checkpoint with its failures alone, if it has more outcomes than `MOST_OUTCOMES`."""
    if len(checkpoint.outcomes) <= MOST_OUTCOMES:
        return checkpoint
    failed, change = checkpoint.failures, msgspec.structs.replace
    group = change(checkpoint.group, items=tuple(outcome.item for outcome in failed))
    return change(checkpoint, outcomes=failed, group=group, left_out=checkpoint.succeeded)
