"""What an agent is to the rest of gitbatch: an assignment goes in, a reply or a failure comes out.

A new kind of agent is a new file that has a class with `run`. It does not commit, it does not merge, it need
not be trusted: of all that it does, one file and this reply are taken.
"""

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct

from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.project.context import ContextFile
from gitbatch.text import CleanText

if TYPE_CHECKING:  # it brings asyncio, and this module is imported by everything that knows an outcome
    from gitbatch.repo.base import Base


class OutputStream(StrEnum):
    """Where a line that an agent showed came from."""

    OUTPUT = "output"
    ERROR = "error"
    PROGRESS = "progress"


Progress = Callable[[OutputStream, CleanText], None]
"""Called with each line as it comes."""


class ReplyFlag(StrEnum):
    """A deficiency of a reply that is used nevertheless; the values are codes in JSON and in trailers."""

    SUMMARY_MISSING = "summary-missing"
    SUMMARY_CUT = "summary-cut"
    USAGE_MISSING = "usage-missing"
    """The server did not report how many tokens its answers took."""


FLAG_DESCRIPTIONS: Mapping[ReplyFlag, str] = MappingProxyType(
    {
        ReplyFlag.SUMMARY_MISSING: "no summary",
        ReplyFlag.SUMMARY_CUT: "summary cut to 3 sentences",
        ReplyFlag.USAGE_MISSING: "usage missing",
    }
)
"""The words that people read for each flag."""


class Contribution(Struct, frozen=True):
    """One line for a shared artifact."""

    artifact: CleanText
    text: CleanText


class Reply(Struct, frozen=True):
    """What a subagent returns: make one with `reply.make_reply`."""

    summary: CleanText
    decisions: tuple[CleanText, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    usage: Usage = Usage()
    flags: tuple[ReplyFlag, ...] = ()


class Failure(Struct, frozen=True):
    """Why there is no reply: one line, and details for whoever looks closer."""

    reason: CleanText
    details: tuple[CleanText, ...] = ()
    cause: Cause = Cause.FAILED
    retry_after: float | None = None
    """Seconds that a busy server asked to wait; None: it did not say."""
    usage: Usage = Usage()
    is_guess: bool = False
    """The cause is a guess by what a program printed: it may be wrong, and is not believed for ever."""


class EarlierOutput(Struct, frozen=True):
    """What an earlier attempt had written: it is at the output's path when the agent starts."""

    blob: str
    may_stay: bool
    """Whether it can be the output as it is: the attempt did not fail because of it."""


class Assignment(Struct, frozen=True):
    """The task of one attempt, as values only: it can be encoded and sent to another machine."""

    item: str
    """The item's key."""
    output: str
    """The one path, relative to the worktree, that the agent is to write."""
    prompt: str
    context: tuple[ContextFile, ...]
    timeout: float
    """Seconds."""
    attempt: int
    previous: Failure | None = None
    """Why the attempt before this one failed."""
    earlier: EarlierOutput | None = None
    """The output of an earlier attempt, if it was kept."""
    used: Usage = Usage()
    """Usage of all earlier attempts at the item, over all starts of the batch; the cost as far as it is known."""
    group: str = ""
    """The title and prose of the group: the same for all of its items."""
    task: str = ""
    """The item as it stands in the plan. An agent that builds its own prompt uses this and `group`."""


class LocalPlace(Struct, frozen=True):
    """The folders of this machine that an agent uses for one attempt; it gets them together with its assignment."""

    worktree: Path
    scratch: Path
    """A private folder outside the worktree, for files that the agent receives and returns."""
    git: tuple[Path, ...] = ()
    """Directories that git reads in the worktree: our own, and those with the user's objects."""
    checkouts: tuple[Path, ...] = ()
    """The user's checkouts and git directories, which the agent may not read."""
    hidden: tuple[Path, ...] = ()
    """Folders that the agent may not read: the worktrees of the other items."""
    base: "Base | None" = None
    """Reads the commit that the item starts from, for an agent without a process."""


class Agent(Protocol):
    """A kind of agent, configured."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    @property
    def knows_usage(self) -> bool:
        """Whether it says how many tokens its attempts use: without that, no limit of tokens can be kept."""
        ...

    @property
    def knows_cost(self) -> bool:
        """Whether it says what its attempts cost: without that, no money limit can be kept."""
        ...

    @property
    def cost_limit(self) -> float | None:
        """The most US dollars that it lets an item cost; None: it does not limit that."""
        ...

    async def run(self, assignment: Assignment, place: LocalPlace, progress: Progress) -> Reply | Failure:
        """Works on an assignment until it is done. Cancelling the call ends every process that it started."""
        ...

    async def close(self) -> None:
        """Let go of what it keeps for the whole run, such as connections."""
        ...
