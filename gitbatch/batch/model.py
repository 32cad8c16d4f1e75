"""The values of a run: what a batch was started with, what became of its items, what a checkpoint recorded."""

import re
from enum import StrEnum
from typing import Self

from msgspec import Struct

from gitbatch.agents.protocol import Failure, Reply
from gitbatch.errors import UsageError
from gitbatch.limits.causes import TREATMENTS, Cause, Remedy
from gitbatch.limits.usage import Spent, Usage
from gitbatch.text import CleanText

PHASE_COMPLETE = "phase complete; set the next phase under Active Scope in CLAUDE.md"
RECORD_VERSION = 1
"""The version of `BatchRecord`. Raised when a reader that does not know a change would misread a record."""


class ItemStatus(StrEnum):
    """What became of an item."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CONFLICTED = "conflicted"
    """The output's path was changed on the target branch while the item ran."""
    REFUSED = "refused"
    """The agent wrote where it must not."""
    BLOCKED = "blocked"
    """Not started: it declares a file as context that another item should have written, and did not."""
    CANCELLED = "cancelled"
    """Not started: the plan no longer has it, or the batch ended before."""


class PauseMode(StrEnum):
    """When a batch pauses for a review (rules K1 to K3)."""

    AFTER_EACH = "after-each"
    AFTER_BATCH = "after-batch"
    AT_END = "at-end"


class CheckpointMode(Struct, frozen=True):
    """A pace; for `after-batch`, with how many groups run between two pauses."""

    pause: PauseMode
    interval: int = 1

    @classmethod
    def parse(cls, text: str) -> "CheckpointMode":
        """The mode as it is written on the command line.

        Raises:
            UsageError: it is none.
        """
        match = re.fullmatch(r"after-each|at-end|after-batch:([1-9]\d{0,5})", text)
        if not match:
            raise UsageError(
                f"{text!r} is no checkpoint mode",
                "use --checkpoint after-each, after-batch:N (N ≥ 1) or at-end",
            )
        return cls(PauseMode(text.partition(":")[0]), int(match[1] or 1))

    def __str__(self) -> str:
        return f"{self.pause}:{self.interval}" if self.pause is PauseMode.AFTER_BATCH else str(self.pause)

    def pauses_after(self, position: int) -> bool:
        """Whether there is a pause after the group at a position (from 1) of the batch."""
        return self.pause is not PauseMode.AT_END and position % self.interval == 0


class BatchItem(Struct, frozen=True):
    """An item as the batch was started with it."""

    key: str
    name: str
    """Its id, or its key where it has none."""
    title: str
    slug: str
    """The last part of its branch's name: group number and a short name, unique in the batch."""


class BatchGroup(Struct, frozen=True):
    """A group of the batch: those of its items that were chosen."""

    number: int
    """In the plan, from 1."""
    title: str
    items: tuple[BatchItem, ...]


class Record(Struct, frozen=True):
    """What a batch was started with; git keeps it as a blob (see `record.py`)."""

    batch: str
    started: int
    """Seconds since the epoch."""
    target: str
    """The branch that checkpoints go to, a full ref name."""
    phase: str
    task: str
    mode: str
    agent: str
    jobs: int
    groups: tuple[BatchGroup, ...]
    version: int = RECORD_VERSION
    config: str | None = None
    """The blob of gitbatch.toml at the batch's base (see `configuration.py`)."""
    format: int = 0
    """The `Gitbatch-Format` of the batch's commits. 0: gitbatch 0.1 started the batch, whose commits have none."""

    @property
    def items(self) -> tuple[BatchItem, ...]:
        """All items, in plan order."""
        return tuple(item for group in self.groups for item in group.items)

    @property
    def checkpoint_mode(self) -> CheckpointMode:
        """When the batch pauses."""
        return CheckpointMode.parse(self.mode)


class FailedAttempt(Struct, frozen=True):
    """An attempt at an item that came to nothing."""

    item: str
    """The item's key."""
    base: str
    """The commit that it was made upon. With another one, the item gets all its attempts anew."""
    number: int
    status: ItemStatus
    cause: Cause | None
    """None: it was interrupted."""
    reason: CleanText
    details: tuple[CleanText, ...] = ()
    strays: tuple[CleanText, ...] = ()
    seconds: float = 0.0
    usage: Usage = Usage()
    retry_after: float | None = None
    """Seconds that a busy server asked to wait."""
    is_guess: bool = False
    """Its cause is a guess (see `Failure`)."""

    @property
    def remedy(self) -> Remedy | None:
        """What is done about it; None: nothing, it was interrupted."""
        return TREATMENTS[self.cause].remedy if self.cause else None

    @property
    def is_counted(self) -> bool:
        """Whether it is one of those that an item has: waits, interruptions and halts are not."""
        return self.remedy in {Remedy.AGAIN, Remedy.FAIL}

    @property
    def failure(self) -> Failure:
        """What the next attempt is told."""
        return Failure(self.reason, self.details, self.cause or Cause.FAILED)


class ItemCommit(str):
    """The id of an item's commit, with what it was found to be when it was made or met: one parent, one file changed.

    `base`: its parent. `trees`: those on the way to the output, from the top. `blob`: the output.
    """

    __slots__ = ("base", "blob", "trees")

    def __new__(cls, oid: str, base: str, trees: tuple[str, ...], blob: str) -> Self:
        """Say so of a commit."""
        made = super().__new__(cls, oid)
        made.base, made.trees, made.blob = base, trees, blob
        return made

    base: str
    trees: tuple[str, ...]
    blob: str

    def with_signature(self, oid: str) -> "ItemCommit":
        """The same commit as it is with a signature."""
        return ItemCommit(oid, self.base, self.trees, self.blob)


class Outcome(Struct, frozen=True):
    """What became of an item, with the reply or the error."""

    item: BatchItem
    status: ItemStatus
    reply: Reply | None = None
    commit: ItemCommit | None = None
    """Where it succeeded, or did and met a conflict."""
    reason: CleanText = CleanText("")
    """Empty when it succeeded."""
    details: tuple[CleanText, ...] = ()
    """The end of what the agent said: on standard error, or on standard output where that is empty."""
    cause: Cause | None = None
    """Of the failure, where the attempt itself failed."""
    strays: tuple[CleanText, ...] = ()
    """What else it left in its worktree; discarded."""
    rescued: str = ""
    """The ref that keeps what its last attempt had written; empty: nothing is kept."""
    attempts: int = 1
    earlier: tuple[FailedAttempt, ...] = ()
    """Those before the last one."""
    seconds: float = 0.0
    """Of all attempts together, waits not included."""
    waits: int = 0
    """How often it was told that the server is busy."""
    waited: float = 0.0
    """Seconds that it waited for the server, for others' sake too."""
    spent: Spent = Spent()
    """By all attempts together."""

    @property
    def succeeded(self) -> bool:
        """Whether its output is in history."""
        return self.status is ItemStatus.SUCCEEDED


class CriterionState(Struct, frozen=True):
    """A Definition-of-Done entry at a checkpoint."""

    number: int
    text: str
    done: bool
    items: tuple[str, ...]
    """The names of the items that name it."""
    open_items: int

    @property
    def cross_cutting(self) -> bool:
        """Whether no item names it (rule T2)."""
        return not self.items

    @property
    def is_ready(self) -> bool:
        """Whether all items that name it are done, and its box is not ticked yet."""
        return bool(self.items) and not self.open_items and not self.done


class Checkpoint(Struct, frozen=True):
    """The recorded end of a group."""

    batch: str
    number: int
    """Position of the group in the batch, from 1."""
    of: int
    group: BatchGroup
    outcomes: tuple[Outcome, ...]
    criteria: tuple[CriterionState, ...]
    before: str
    """The target branch's commit before the checkpoint."""
    commit: str
    """The orchestrator commit."""
    notes: tuple[CleanText, ...] = ()
    """What could not be written as wanted, in the commit or in the checkout, one harmless line each."""
    kept: tuple[str, ...] = ()
    """Paths where the user's own version stays in the checkout."""

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """The outcomes that are no success."""
        return tuple(outcome for outcome in self.outcomes if not outcome.succeeded)

    @property
    def phase_complete(self) -> bool:
        """Whether every Definition-of-Done entry is done (rule O6)."""
        return bool(self.criteria) and all(criterion.done for criterion in self.criteria)
