"""The values of a run: the record of a batch, the outcomes of its items, and its checkpoints."""

import re
from enum import StrEnum
from typing import Self

from msgspec import Struct, field

from gitbatch.agents.protocol import Failure, Reply
from gitbatch.batch.line_count import LineCount
from gitbatch.batch.verdicts import GateVerdict
from gitbatch.checks.verdict import CheckResult
from gitbatch.errors import UsageError
from gitbatch.limits.causes import TREATMENTS, Cause, Remedy, WaitReason
from gitbatch.limits.usage import Spent, Usage
from gitbatch.plan.model import ItemKey
from gitbatch.project.context import MissingInput
from gitbatch.project.control import PlanChoice
from gitbatch.text import CleanText

PHASE_COMPLETE = "phase complete; set the next phase under Active Scope in CLAUDE.md, or write a new plan"
MOST_OUTCOMES = 100
"""The most items that a checkpoint lists one by one in its event, its message and the status; of more, only the failures."""
RECORD_VERSION = 1
"""The version of `Record`. Raised when a reader that does not know a change would misread a record."""


class ItemStatus(StrEnum):
    """The result of an item."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CONFLICTED = "conflicted"
    """The output's path changed on the target branch while the item ran."""
    REFUSED = "refused"
    """The agent wrote outside its assigned output."""
    BLOCKED = "blocked"
    """Not started: a file that it declares as context, or one that its batch does not run without, is missing."""
    REJECTED = "rejected"
    """A person rejected it in a review, or undid it: its path is as it was before the item."""
    CANCELLED = "cancelled"
    """Not started: the plan no longer has it, or the batch ended before."""

    @property
    def is_failure(self) -> bool:
        """Returns true if the item did not succeed. What a person took back is a decision, not a failure."""
        return self not in {ItemStatus.SUCCEEDED, ItemStatus.REJECTED}


class PauseMode(StrEnum):
    """When a batch pauses for a review (rules K1 to K3)."""

    AFTER_EACH = "after-each"
    AFTER_BATCH = "after-batch"
    AT_END = "at-end"


class CheckpointMode(Struct, frozen=True):
    """When a batch pauses; for `after-batch`, with the number of groups between two pauses."""

    pause: PauseMode
    interval: int = 1

    @classmethod
    def parse(cls, text: str) -> "CheckpointMode":
        """Returns the mode that a text of the command line names.

        Raises:
            UsageError: the text is not a valid mode.
        """
        match = re.fullmatch(r"after-each|at-end|after-batch:([1-9]\d{0,5})", text)
        if not match:
            raise UsageError(
                f"invalid checkpoint mode {text!r}",
                "use --checkpoint after-each, after-batch:N (N ≥ 1) or at-end",
            )
        return cls(PauseMode(text.partition(":")[0]), int(match[1] or 1))

    def __str__(self) -> str:
        return f"{self.pause}:{self.interval}" if self.pause is PauseMode.AFTER_BATCH else str(self.pause)

    def pauses_after(self, position: int) -> bool:
        """Returns true if there is a pause after the group at a position (from 1) of the batch."""
        return self.pause is not PauseMode.AT_END and position % self.interval == 0


class BatchItem(Struct, frozen=True):
    """An item as it was when the batch was started."""

    output: str = field(name="key")
    """Its path, unique in its group. In JSON it is called `key`, as in the records of gitbatch 0.1."""
    name: str
    """Its id, or its output where it has none."""
    title: str
    slug: str
    """The last part of its branch's name: group number and a short name, unique in the batch."""
    group: int = 0
    """The number of its group; 0 in a record of gitbatch 0.1, until it is read."""

    @property
    def key(self) -> ItemKey:
        """What the item is known by inside the program."""
        return ItemKey(self.slug)


class BatchGroup(Struct, frozen=True):
    """A group of the batch, with the items that were chosen."""

    number: int
    """The position in the plan, from 1."""
    title: str
    items: tuple[BatchItem, ...]
    revision: int = 0
    """Not 0: these are items of the group that run again after a review, and this is the number of their checkpoint."""


class Record(Struct, frozen=True):
    """The parameters that a batch was started with. git keeps them as a blob (see `record.py`)."""

    batch: str
    started: int
    """Seconds since the epoch."""
    target: str
    """The branch that checkpoints go to, a full ref name."""
    phase: str
    plan_path: str = field(name="task")
    mode: str
    agent: str
    jobs: int
    groups: tuple[BatchGroup, ...]
    version: int = RECORD_VERSION
    config: str | None = None
    """The blob of gitbatch.toml at the batch's base (see `configuration.py`)."""
    format: int = 0
    """The `Gitbatch-Format` of the batch's commits. 0: gitbatch 0.1 started the batch, whose commits have none."""
    selection: str = ""
    """`--items` as it was given or answered; empty in a record of gitbatch 0.1."""

    @property
    def items(self) -> tuple[BatchItem, ...]:
        """Returns all items, in plan order."""
        return tuple(item for group in self.groups for item in group.items)

    def position_of(self, group: BatchGroup) -> int:
        """Returns the position of a group in the batch, from 1. It may have only some of its items."""
        return next(at for at, each in enumerate(self.groups, 1) if each.number == group.number)

    @property
    def plan(self) -> PlanChoice:
        """Returns the plan that the batch runs, as a choice for reading a commit."""
        return PlanChoice(self.plan_path, is_recorded=True)

    @property
    def checkpoint_mode(self) -> CheckpointMode:
        """Returns when the batch pauses."""
        return CheckpointMode.parse(self.mode)


class FailedAttempt(Struct, frozen=True):
    """An attempt at an item that did not produce an item commit."""

    slug: ItemKey
    """The item's key."""
    base: str
    """The base that the attempt started from (see `ScheduledItem.base_name`). From another one, the item has all its attempts again."""
    number: int
    status: ItemStatus
    cause: Cause | None
    """None if the attempt was interrupted."""
    reason: CleanText
    details: tuple[CleanText, ...] = ()
    strays: tuple[CleanText, ...] = ()
    seconds: float = 0.0
    usage: Usage = Usage()
    retry_after: float | None = None
    """Seconds that a busy server asked to wait."""
    is_guess: bool = False
    """True if the cause is a guess (see `Failure`)."""
    wait_reason: WaitReason = WaitReason.SERVER_BUSY
    """What all items wait for, if the server is busy."""
    checks: tuple[CheckResult, ...] = ()
    """The results of the checks of its output, if they ran."""
    host: CleanText = CleanText("")
    """The other machine that its agent worked on; empty: this one."""

    @property
    def remedy(self) -> Remedy | None:
        """Returns how the failure is treated; None if the attempt was interrupted."""
        return TREATMENTS[self.cause].remedy if self.cause else None

    @property
    def is_counted(self) -> bool:
        """Whether the attempt counts against the item's limit: waits, interruptions and halts do not."""
        return self.remedy in {Remedy.AGAIN, Remedy.FAIL}

    @property
    def failure(self) -> Failure:
        """Returns the failure as the next attempt's prompt describes it."""
        return Failure(self.reason, self.details, self.cause or Cause.FAILED)


class ItemCommit(str):
    """The id of an item's commit, with what was verified when it was made or read: one parent, one changed file.

    `base`: its parent. `trees`: the trees on the way to the output, from the top. `blob`: the output. `plan_item`: the digest
    of what the plan said about an item that started before its group; empty: it started with its group.
    """

    __slots__ = ("base", "blob", "plan_item", "trees")

    def __new__(cls, oid: str, base: str, trees: tuple[str, ...], blob: str, plan_item: str = "") -> Self:
        """Builds the value; the caller has verified the commit."""
        made = super().__new__(cls, oid)
        made.base, made.trees, made.blob, made.plan_item = base, trees, blob, plan_item
        return made

    base: str
    trees: tuple[str, ...]
    blob: str
    plan_item: str


class Outcome(Struct, frozen=True):
    """An item and its status, with the reply or the error."""

    item: BatchItem
    status: ItemStatus
    reply: Reply | None = None
    commit: ItemCommit | None = None
    """Set if the item succeeded, or if it finished and then conflicted."""
    reason: CleanText = CleanText("")
    """Empty if the item succeeded."""
    details: tuple[CleanText, ...] = ()
    """The last lines that the agent wrote to standard error, or to standard output if that is empty."""
    cause: Cause | None = None
    """The cause of the failure, if the attempt itself failed."""
    strays: tuple[CleanText, ...] = ()
    """Other files that the agent left in its worktree; they are discarded."""
    rescued: str = ""
    """The ref that keeps the output of its last failed attempt; empty if nothing is kept."""
    attempts: int = 1
    earlier: tuple[FailedAttempt, ...] = ()
    """The failed attempts before the last one."""
    seconds: float = 0.0
    """The time that all attempts took, without waits."""
    waits: int = 0
    """How often the server reported that it is busy."""
    waited: float = 0.0
    """Seconds of waiting for the server, including waits that other items caused."""
    spent: Spent = Spent()
    """The usage of all attempts."""
    missing: tuple[MissingInput, ...] = ()
    """Files that the item was to read and did not get."""
    lines: LineCount | None = None
    """The lines that its commit changes, in a checkpoint; None: unknown, as for a binary file."""
    notes: tuple[CleanText, ...] = ()
    """Remarks on its reply: contributions to what is not a shared artifact."""
    checks: tuple[CheckResult, ...] = ()
    """The results of the checks of its output, or of the last attempt's."""
    host: CleanText = CleanText("")
    """The other machine that its agent worked on; empty: this one."""

    @property
    def succeeded(self) -> bool:
        """Returns true if the item's output is in history."""
        return self.status is ItemStatus.SUCCEEDED


class FailedItem(Struct, frozen=True):
    """An item that did not succeed, as the end of a run reports it."""

    group: int
    """The number of its group in the plan."""
    item: str
    """Its output."""
    name: str
    status: ItemStatus
    reason: CleanText
    commit: str
    """The orchestrator commit that has the details."""
    rescued: str = ""
    """The ref that keeps the output of its last failed attempt; empty if nothing is kept."""


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
        """Returns true if the entry is named by no item (rule T2)."""
        return not self.items

    @property
    def is_ready(self) -> bool:
        """Whether all items that name the entry are done and its box is not ticked yet."""
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
    """Remarks on what could not be written as intended, in the commit or the checkout; one clean line each."""
    kept: tuple[str, ...] = ()
    """Paths at which the checkout keeps the user's own version."""
    gates: tuple[GateVerdict, ...] = ()
    """What the gates of the group said of the tree that is recorded."""
    left_out: int = 0
    """The number of items that succeeded and are not among the outcomes: each has an event and a commit of its own."""

    @property
    def total(self) -> int:
        """Returns the number of items."""
        return len(self.outcomes) + self.left_out

    @property
    def succeeded(self) -> int:
        """Returns the number of items that succeeded."""
        return self.total - len(self.failures)

    @property
    def failures(self) -> tuple[Outcome, ...]:
        """Returns the outcomes of items that did not succeed."""
        return tuple(outcome for outcome in self.outcomes if not outcome.succeeded)

    @property
    def phase_complete(self) -> bool:
        """Returns true if every Definition-of-Done entry is done (rule O6)."""
        return bool(self.criteria) and all(criterion.done for criterion in self.criteria)
