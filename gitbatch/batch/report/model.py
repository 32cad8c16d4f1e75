"""The values of a report: a batch as git has it, for readers who were not there."""

from msgspec import Struct

from gitbatch.agents.protocol import Reply
from gitbatch.batch.history.decisions import ItemDecision
from gitbatch.batch.history.trailers import Kind
from gitbatch.batch.model import BatchItem, FailedAttempt, ItemStatus
from gitbatch.batch.verdicts import GateVerdict
from gitbatch.checks.verdict import CheckResult
from gitbatch.limits.usage import Spent
from gitbatch.project.context import MissingInput
from gitbatch.text import CleanText


class ReportCommit(Struct, frozen=True):
    """A commit of the batch, or of the user in between."""

    oid: str
    kind: Kind | None
    """None: it is the user's own."""
    subject: CleanText
    at: float
    """Seconds since the epoch, when it was committed."""
    committer: CleanText


class ReportItem(Struct, frozen=True, kw_only=True):
    """An item with everything that git knows of it."""

    item: BatchItem
    status: ItemStatus | None = None
    """None: it has not ended."""
    is_waiting: bool = False
    """Whether it is done, and the checkpoint of its group is still to come."""
    commit: ReportCommit | None = None
    """The item's own commit, of several the last one; None: it has none."""
    earlier: tuple[ReportCommit, ...] = ()
    """The item's commits before that one, which were sent back or undone."""
    agent: CleanText = CleanText("")
    model: CleanText = CleanText("")
    host: CleanText = CleanText("")
    """The other machine that its agent worked on; empty: this one."""
    reply: Reply | None = None
    reason: CleanText = CleanText("")
    """Why it did not succeed."""
    attempts: int = 0
    failed: tuple[FailedAttempt, ...] = ()
    """Its failed attempts, as long as the ledger of the batch is there."""
    spent: Spent = Spent()
    """The usage of all attempts."""
    seconds: float = 0.0
    """The time of all attempts."""
    waited: float = 0.0
    """Seconds that it waited for a server, or for others."""
    checks: tuple[CheckResult, ...] = ()
    context: tuple[tuple[str, str], ...] = ()
    """Path and blob of each file that its agent was given."""
    missing: tuple[MissingInput, ...] = ()
    kept: str = ""
    """The ref that keeps the output of a failed attempt; empty: nothing is kept."""
    decisions: tuple[ItemDecision, ...] = ()
    """What was decided about it, the oldest first."""
    is_early: bool = False
    """Whether its commit was written from what was there before its group began."""

    @property
    def succeeded(self) -> bool:
        """Returns true if its output is in history, or waits for the checkpoint of its group."""
        return self.status is ItemStatus.SUCCEEDED

    @property
    def is_failure(self) -> bool:
        """Whether it ended and did not succeed. What a person rejected is a decision, not a failure."""
        return self.status is not None and self.status.is_failure

    @property
    def began(self) -> float:
        """Returns when its work began, by the time of its commit and what it took; 0: unknown."""
        return self.commit.at - self.seconds - self.waited if self.commit else 0.0


class ReportCheckpoint(Struct, frozen=True):
    """A checkpoint of a group: its own, or that of a revision."""

    commit: ReportCommit
    position: tuple[int, int]
    """Its number in the batch, and the number of all."""
    revision: int
    """0: it is the group's own checkpoint."""
    succeeded: int
    failed: int
    gates: tuple[GateVerdict, ...]


class ReportReview(Struct, frozen=True):
    """A review: the decisions of a person, in one commit."""

    commit: ReportCommit
    position: tuple[int, int]
    """The number of the last checkpoint that it covers, and the number of all."""
    decisions: tuple[ItemDecision, ...]


class ReportGroup(Struct, frozen=True):
    """A group of the batch."""

    number: int
    title: str
    items: tuple[ReportItem, ...]
    checkpoints: tuple[ReportCheckpoint, ...]
    """The oldest first; empty: it has not ended."""

    @property
    def spent(self) -> Spent:
        """Returns the usage of all its items."""
        return sum((item.spent for item in self.items), Spent())

    @property
    def began(self) -> float:
        """Returns when the first item began that did not start early, as far as that is known; 0: unknown."""
        return min((item.began for item in self.items if item.commit and not item.is_early), default=0.0)


class CriterionItem(Struct, frozen=True):
    """An item of the plan that names an entry of the Definition of Done."""

    group: int
    name: str
    done: bool


class ReportCriterion(Struct, frozen=True):
    """An entry of the Definition of Done, with the items that name it."""

    number: int
    text: CleanText
    done: bool
    items: tuple[CriterionItem, ...]


class ModelSpent(Struct, frozen=True):
    """The usage of one model."""

    model: CleanText
    """Empty: unknown."""
    items: int
    """The number of items that used it."""
    spent: Spent


class BatchReport(Struct, frozen=True, kw_only=True):
    """A batch as its report shows it."""

    batch: str
    repository: str
    target: str
    """The branch, as a full ref name."""
    plan: str
    phase: str
    mode: str
    agent: str
    started: float
    ended: bool
    base: str
    tip: str
    """The commit up to which the history of the batch was read."""
    groups: tuple[ReportGroup, ...]
    reviews: tuple[ReportReview, ...]
    criteria: tuple[ReportCriterion, ...]
    models: tuple[ModelSpent, ...]
    commits: tuple[ReportCommit, ...]
    """The commits of the branch since the base, the oldest first."""

    @property
    def items(self) -> tuple[ReportItem, ...]:
        """Returns all items, in plan order."""
        return tuple(item for group in self.groups for item in group.items)

    @property
    def spent(self) -> Spent:
        """Returns the usage of all items."""
        return sum((group.spent for group in self.groups), Spent())
