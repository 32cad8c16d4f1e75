"""The values of one item that is about to run, and of one attempt at it."""

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.protocol import EarlierOutput, Failure, Reply
from gitbatch.agents.secrets import Secrets
from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.rescue import Rescued
from gitbatch.batch.model import BatchGroup, BatchItem, FailedAttempt
from gitbatch.batch.planning.project_state import ProjectState
from gitbatch.plan.model import Group, ItemKey, WorkItem
from gitbatch.project.check_choice import item_checks
from gitbatch.project.context import MissingInput
from gitbatch.project.manifest import Manifest, ManifestBuilder
from gitbatch.repo.fingerprint import Fingerprint
from gitbatch.repo.objects.codec import Ident
from gitbatch.repo.refs.names import item_branch
from gitbatch.sandbox.model import SandboxKind
from gitbatch.text import CleanText

_SHORTEST_WAIT = 0.01
"""Seconds; a shorter time is not counted as a wait."""


class Reopening(Struct, frozen=True):
    """Why an item runs again after its checkpoint: what a person decided about it in a review."""

    kind: DecisionKind
    review: str
    """The commit of the review."""
    comment: str
    """An instruction to the agent, also that of an earlier review by which no run has succeeded; may be empty."""
    summary: CleanText
    """What the agent said of the version that is there; empty: none is."""
    agent: str = ""
    """The agent that the review chose for this run; empty: that of the plan."""
    is_there: bool = True
    """Whether the output of its last run is at its path."""
    read: tuple[tuple[str, str], ...] = ()
    """Path and blob of each file that this version was written from."""


class ScheduledItem(Struct, frozen=True):
    """An item that is about to run, in the project state of its group."""

    project_state: ProjectState
    batch_group: BatchGroup
    batch_item: BatchItem
    group: Group
    item: WorkItem
    agent: str
    timeout: float | None
    """Seconds, where a hint gives them."""
    retries: int
    manifests: ManifestBuilder
    """Lists what the items of the group read in that project state."""
    secrets: Secrets
    """Values that no text and no output may hold."""
    sandbox: SandboxKind | None
    """The sandbox that the user asked for on the command line."""
    missing: tuple[MissingInput, ...] = ()
    """Files that the item is meant to read and does not get."""
    seen: tuple[str, ...] = ()
    """The outputs of items of its group that it waited for and that its base has."""
    plan_item: str = ""
    """The digest of what the plan says about it (`digest_plan_item`), if it starts before its group; else empty."""
    reading: str = ""
    """The digest of what it is given (`name_reading`), if its attempts are counted by that; empty: by its base."""
    reopening: Reopening | None = None
    """Set if a review made it run again."""

    @property
    def review(self) -> str:
        """The review that made it run again; empty: none did."""
        return self.reopening.review if self.reopening else ""

    @property
    def is_early(self) -> bool:
        """Whether it starts before its group."""
        return bool(self.plan_item)

    @property
    def base_name(self) -> str:
        """What the item's attempts are counted by: what it is given, or its base; a base merge by its tree, as each start writes it again."""
        return self.reading or self._base_name

    @property
    def _base_name(self) -> str:
        return self.project_state.tree if self.seen else self.project_state.commit

    @property
    def checks(self) -> tuple[str, ...]:
        """The names of the checks that its output must pass."""
        state = self.project_state
        return item_checks(state.project.config, state.plan, self.group, self.item)

    @property
    def key(self) -> ItemKey:
        """The item's key."""
        return self.batch_item.key

    def branch_of(self, batch: str) -> str:
        """Returns the full name of the item's branch in a batch."""
        return item_branch(batch, self.batch_item.slug)


class StartingPoint(Struct, frozen=True):
    """The material that an agent starts from."""

    context: Manifest
    earlier: Rescued | None
    """The output of an earlier attempt, which is put into the workplace."""
    revised: tuple[str, ...] = ()
    """The names of the items of earlier groups that wrote the output as the base has it."""

    @property
    def earlier_output(self) -> EarlierOutput | None:
        """The same, as the agent is given it."""
        return self.earlier.output if self.earlier else None


class ServerWaits(Struct, frozen=True):
    """How often and how long an item waited for a server."""

    count: int = 0
    seconds: float = 0.0

    def add_one(self) -> "ServerWaits":
        """Returns the waits with one more."""
        return replace(self, count=self.count + 1)

    def add_seconds(self, seconds: float) -> "ServerWaits":
        """Returns the waits with more seconds, unless they are fewer than the check itself takes."""
        return replace(self, seconds=round(self.seconds + seconds, 3)) if seconds >= _SHORTEST_WAIT else self


class FinishedWork(Struct, frozen=True):
    """An attempt whose agent has ended, and the attempts before it."""

    scheduled: ScheduledItem
    start: StartingPoint
    past: tuple[FailedAttempt, ...]
    waits: ServerWaits
    tried: FailedAttempt
    """What is known of the attempt: its number, its time, its usage."""
    answer: Reply | Failure


class CommitContext(Struct, frozen=True):
    """The values that every commit of a batch needs."""

    batch: Batch
    fingerprint: Fingerprint
    """The repository's control files when the run began: compared before each commit point."""
    user: Ident
    """The user, with the time of the commit."""
    signs: bool = True
    """Whether merges and checkpoints are signed, if the user signs; not if they are only built for a gate."""

    def ident_of(self, agent: str) -> Ident:
        """Returns the author of an item's commit, with the time of the commit."""
        return Ident(f"{agent} (gitbatch agent)", "agent@gitbatch.invalid", self.user.when)
