"""What the steps of a run are given: the tools that all of them use, and the item that is about to run."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from gitbatch.batch.events import EventStream
from gitbatch.batch.history.ledger import Ledger
from gitbatch.batch.history.record import Batch
from gitbatch.batch.model import BatchGroup, BatchItem
from gitbatch.batch.planning.configuration import FixedConfig
from gitbatch.batch.planning.project_state import ProjectState
from gitbatch.plan.model import Group, WorkItem
from gitbatch.repo.fingerprint import Fingerprint
from gitbatch.repo.objects.codec import Ident
from gitbatch.repo.refs.names import item_branch
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.agent_git import AgentGit
from gitbatch.repo.worktrees.checkouts import Checkouts

if TYPE_CHECKING:  # asyncio and all that agents need: what only looks at a batch does without
    from gitbatch.agents.pool import AgentPool
    from gitbatch.batch.item.stop import StopSwitch
    from gitbatch.concurrency import GitThread


class Run(Struct, frozen=True):
    """What one process brings to a batch: the tools that every step uses."""

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
    agent_git: AgentGit
    """What git finds in the agents' worktrees."""
    checkouts: Checkouts
    """The user's checkouts and git directories, which agents may not read."""
    ledger: Ledger
    brake: "StopSwitch"
    fixed: FixedConfig

    def committer(self) -> Ident:
        """The user, now."""
        who = self.repo.identity
        return Ident(who.name, who.email, int(self.clock()))


class ItemTask(Struct, frozen=True):
    """An item that is about to run, in the project state of its group."""

    project_state: ProjectState
    batch_group: BatchGroup
    batch_item: BatchItem
    group: Group
    item: WorkItem
    agent: str
    timeout: float | None
    """Seconds, where a hint says so."""
    retries: int

    @property
    def key(self) -> str:
        """The item's key."""
        return self.batch_item.key

    def branch(self, batch: str) -> str:
        """The item's branch."""
        return item_branch(batch, self.batch_item.slug)
