"""The caller's side of a session: its settings, its answers before the batch starts, its reviews at the pauses.

A command line answers with prompts; `Unattended` and `PauseAlways` are the caller that cannot be asked.
"""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from gitbatch.batch.history.ledger import SpendingLimits
from gitbatch.batch.model import Checkpoint, CheckpointMode
from gitbatch.batch.planning.early.eagerness import EagerMode
from gitbatch.batch.planning.project_state import ProjectState
from gitbatch.errors import UsageError
from gitbatch.plan.model import Plan
from gitbatch.project.control import BY_CONVENTION, PlanChoice
from gitbatch.sandbox.model import SandboxKind
from gitbatch.text import format_count


class SessionSettings(Struct, frozen=True, kw_only=True):
    """The choices of a session's caller. Those that say what runs must be the batch's own, if one is unfinished."""

    environment: Mapping[str, str]
    """The variables that agents inherit or name their keys by."""
    cache_dir: Path
    """The folder for worktrees where neither `worktrees` nor the configuration names one."""
    worktrees: Path | None = None
    """The folder for worktrees, instead of the configured one."""
    plan: PlanChoice = BY_CONVENTION
    """The plan that is wanted."""
    items: str | None = None
    """As `select_items` reads them; None: the frontend is asked."""
    checkpoint: CheckpointMode | None = None
    """None: the frontend is asked."""
    agent: str | None = None
    jobs: int | None = None
    continues: bool = False
    """Whether `checkpoint` and `agent` change the rest of an unfinished batch, which must exist."""
    branch: str | None = None
    """The branch to run on; None: the one that is checked out."""
    sandbox: SandboxKind | None = None
    limits: SpendingLimits = SpendingLimits()
    longest_wait: float | None = None
    """Seconds that a server may make the batch wait before it halts; None: as long as `RateLimit` says."""
    patience: float | None = None
    """Seconds of waits in a row, without any success, before it halts; None: as long as `RateLimit` says."""
    fetch: bool = True
    """Whether a partial clone may fetch what it lacks."""
    eager: EagerMode | None = None
    """Whether items start before their group; None: as configured, else the default of the checkpoint mode."""
    cluster: str | None = None
    """The address of a Dask cluster whose workers run the agents, instead of those that are configured."""
    accept_config: bool = False
    """Accepts a changed configuration at the start, without a question."""
    clock: Callable[[], float] = time.time
    """Seconds since the epoch."""


class Frontend(Protocol):
    """Reports to the user, and asks the user, before a batch runs."""

    @property
    def can_ask(self) -> bool:
        """Whether the user can answer a question."""
        ...

    def report_waiting(self, text: str) -> None:
        """Reports what the session waits for before it can emit events."""
        ...

    def report_warnings(self, state: ProjectState) -> None:
        """Reports the warnings of a plan that can run."""
        ...

    def choose_items(self, plan: Plan) -> str:
        """Returns the items to run, in the syntax of `select_items`."""
        ...

    def choose_mode(self, groups: int) -> CheckpointMode:
        """Returns when the batch pauses."""
        ...

    def accept_config(self) -> bool:
        """Returns true if the batch may run with the changed configuration that the last event showed."""
        ...


class Unattended:
    """A frontend that answers no question: a missing choice is an error."""

    can_ask = False

    def report_waiting(self, text: str) -> None:
        """Reports nothing."""

    def report_warnings(self, state: ProjectState) -> None:
        """Reports nothing."""

    def choose_items(self, plan: Plan) -> str:
        """Refuses: the settings must name the items."""
        raise UsageError(f"the items of {plan.path} to run are missing", "set the items, for example to all")

    def choose_mode(self, groups: int) -> CheckpointMode:
        """Refuses: the settings must say when to pause."""
        raise UsageError(
            f"the checkpoint mode for {format_count(groups, 'group')} is missing",
            "set it, for example at-end",
        )

    def accept_config(self) -> bool:
        """Refuses a changed configuration."""
        return False


class PauseAlways:
    """A reviewer that stops the run at each pause; the next session resumes the batch."""

    takes_time = False

    async def review_checkpoint(self, checkpoint: Checkpoint) -> bool:  # noqa: ARG002 - the protocol's parameter
        """Stops after the checkpoint."""
        return False

    async def review_last(self, checkpoint: Checkpoint, *, is_earlier: bool) -> bool:  # noqa: ARG002 - as above
        """Lets the batch end."""
        return True

    async def accept_config(self) -> bool:
        """Refuses a changed configuration."""
        return False
