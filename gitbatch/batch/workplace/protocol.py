"""The seam between the orchestrator and the workplace where an agent works on one attempt.

A workplace receives values (`WorkplaceSetup`, `Assignment`) and returns values: progress lines, a reply, the list of
changed paths, and a source of bytes for the one output. It decides nothing: the orchestrator judges the changed paths,
stores the blob, builds the commit and moves the branch. The orchestrator uses no path, no object id and no command
that came from a workplace; it opens the source, and reads the list as text.

Implementations: `local.py` and `overlay.py`, a git worktree on this machine; `executor/remote_workplace.py`, a worker on another one,
to which the same values are sent.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from msgspec import Struct

from gitbatch.agents.protocol import Agent, Assignment, Failure, Progress, Reply
from gitbatch.text import CleanText


class OpenOutput(NamedTuple):
    """An output file that is open for reading."""

    descriptor: int
    """A descriptor of a regular file. Its owner closes it."""
    size: int
    """Bytes when it was opened."""


OutputSource = Callable[[], AbstractContextManager[OpenOutput]]
"""Opens the bytes of the output; it can be called again.

Raises FileNotFoundError: the output file is missing; OSError: it cannot be taken, for example a link.
"""


class WorkplaceSetup(Struct, frozen=True):
    """The state that a workplace is in when its agent starts, as values."""

    branch: str
    """The full name of the item's branch, which does not exist yet."""
    commit: str
    tree: str
    """The tree of that commit."""
    output: str
    paths: tuple[str, ...] | None
    """The paths to check out (a folder ends in a slash); None: all."""
    guarded: tuple[str, ...]
    """Paths that the agent may not change. One that the commit has and that is missing afterwards is reported."""
    earlier: str | None
    """The blob of an earlier attempt's output, which is put at the output's path."""


class WorkplaceChanges(Struct, frozen=True):
    """The paths that changed in a workplace, relative to its top folder. Untrusted text."""

    written: tuple[str, ...] = ()
    """Files that were created or written, the output among them."""
    removed: tuple[str, ...] = ()
    """Guarded files that are missing."""
    deleted: tuple[str, ...] = ()
    """Other files and folders that are missing, as far as the kind of workplace sees it."""
    replaced: tuple[str, ...] = ()
    """Folders that were deleted and made again: what is in them is written, the rest is missing."""


class Collected(Struct, frozen=True):
    """The results of an agent in its workplace."""

    changes: WorkplaceChanges
    output: OutputSource


class NotBegunError(Exception):
    """The agent was not started: there was room for it only after the batch had halted, or had spent what it may cost."""


class StartPermit(Protocol):
    """Whether an attempt may start, for workplaces that wait for a machine: what allowed it may have ended by then."""

    waited: float
    """Seconds for which the attempt had to wait for a machine; the workplace adds them."""

    @property
    def is_early(self) -> bool:
        """Whether it may only have a machine that no other item waits for."""
        ...

    @property
    def is_given(self) -> bool:
        """Whether the attempt may start now; what it may cost is reserved then."""
        ...

    async def wait_for_start(self) -> float | None:
        """Waits until it may start. Returns the seconds of the wait for the server; None: it may not start any more."""
        ...


class Workplace(Protocol):
    """Where one attempt at an item is worked on. The methods are called in this order, each at most once."""

    @property
    def host(self) -> CleanText:
        """The name of the other machine that it is on, once its agent works; empty: it is on this one."""
        ...

    async def prepare(self, setup: WorkplaceSetup) -> None:
        """Makes what the agent starts from.

        Raises:
            DiskError: it cannot be written.
        """
        ...

    async def work(self, agent: Agent, assignment: Assignment, progress: Progress) -> Reply | Failure:
        """Runs an agent until it has ended. Cancelling the call ends every process that it started.

        Raises:
            NotBegunError: the agent was not started, and will not be.
        """
        ...

    async def collect(self) -> Collected | None:
        """Lists the changes, when no process of the agent is left; None: the workplace is gone, or was never made."""
        ...

    async def note_recorded(self, *, in_git: bool) -> None:
        """Notes that the result of the attempt is judged.

        Args:
            in_git: whether a ref keeps its output; if not, the ledger has the failed attempt at the next one.
        """
        ...

    async def discard(self) -> bool:
        """Removes everything, in whatever state it is; false: something still writes there, and it was moved aside."""
        ...


class Workplaces(Protocol):
    """A supply of workplaces for one run."""

    def open_workplace(
        self, batch: str, slug: str, agent: str, permit: StartPermit | None = None
    ) -> Workplace:
        """Returns a workplace, not yet prepared, for an attempt at the item with a slug by the agent of a name.

        `permit`: asked again if the agent has to wait for a machine; None: it may always start.
        """
        ...

    async def close(self, *, in_hurry: bool) -> None:
        """Ends the work on other machines. `in_hurry`: within a second, as the user has interrupted the run."""
        ...
