"""The tools that the steps of a run share."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from gitbatch.batch.event_stream import EventStream
from gitbatch.batch.history.ledger import Ledger
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.trailers import EARLY_FORMAT
from gitbatch.batch.item.scheduled import CommitContext
from gitbatch.batch.planning.configuration import FixedConfig
from gitbatch.batch.planning.early.eagerness import Eagerness
from gitbatch.repo.fingerprint import Fingerprint
from gitbatch.repo.objects.codec import Ident
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.checkouts import Checkouts

if TYPE_CHECKING:  # asyncio and all that agents need: a command that only reads a batch does without them
    from gitbatch.agents.pool import AgentPool
    from gitbatch.batch.extras.extras import WorktreeExtras
    from gitbatch.batch.item.stop import RunningAgents, StopSwitch
    from gitbatch.batch.workplace.protocol import Workplaces
    from gitbatch.checks.command import CheckTools
    from gitbatch.checks.remote_check import RemoteChecks
    from gitbatch.checks.tree import FreshTrees
    from gitbatch.concurrency import GitThread


class Run(Struct, frozen=True):
    """The tools of one process for a batch. Used on the event loop; the git thread gets a repository and values."""

    repo: Repository
    batch: Batch
    jobs: int
    worktrees_dir: Path
    """The batch's folder for worktrees; nothing else is in it."""
    agents: "AgentPool"
    emit: EventStream
    clock: Callable[[], float]
    """Seconds since the epoch: for what is written into history."""
    git: "GitThread"
    fingerprint: Fingerprint
    """The repository's control files when the run began."""
    workplaces: "Workplaces"
    extras: "WorktreeExtras"
    """The layers of worktrees on top of a commit's files."""
    worktrees: str
    """The kind of worktree, and why it is not a better one."""
    checkouts: Checkouts
    """The user's checkouts and git directories, which agents may not read."""
    ledger: Ledger
    trees: "FreshTrees"
    """Where checks and gates run."""
    check_tools: "CheckTools"
    stop_switch: "StopSwitch"
    running_agents: "RunningAgents"
    fixed: FixedConfig
    eagerness: Eagerness = Eagerness()
    """Whether items start before their group."""
    remote_checks: "RemoteChecks | None" = None
    """Runs the programs of checks and gates on other machines; None: they run here."""

    @property
    def starts_early(self) -> bool:
        """Whether items may start before their group: by the mode, and by the format of the batch's commits."""
        return self.eagerness.is_on and self.batch.record.format >= EARLY_FORMAT

    def commit_context(self) -> CommitContext:
        """Returns the values that commits need, with the time of the call."""
        user = self.repo.identity
        return CommitContext(self.batch, self.fingerprint, Ident(user.name, user.email, int(self.clock())))
