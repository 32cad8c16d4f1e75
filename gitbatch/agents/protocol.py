"""What an agent is to the rest of gitbatch: an assignment goes in, a reply or a failure comes out.

A new kind of agent is a new file that has a class with `run`. It does not commit, it does not merge, it need
not be trusted: of all that it does, one file and this reply are taken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from gitbatch.project.context import ContextFile


class Stream(StrEnum):
    """Where a line that an agent showed came from."""

    OUTPUT = "output"
    ERROR = "error"
    PROGRESS = "progress"


Progress = Callable[[Stream, str], None]
"""Called with each line as it comes; the line is already harmless."""


class ReplyFlag(StrEnum):
    """What was not as asked for in a reply that is used all the same."""

    SUMMARY_MISSING = "no summary"
    SUMMARY_CUT = "summary cut to 3 sentences"


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a subagent is given."""

    item: str
    """The item's key."""
    output: str
    """The one path, below the worktree, that it is to write."""
    worktree: Path
    scratch: Path
    """A private folder outside the worktree, for what it is handed and what it hands back."""
    prompt: str
    context: tuple[ContextFile, ...]
    timeout: float
    """Seconds."""
    attempt: int
    repository: tuple[Path, ...] = ()
    """The user's checkout and git's common folder: for reading at the most."""
    hidden: tuple[Path, ...] = ()
    """Folders that the agent has no business in: where the worktrees of the others are."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """One line for a shared artifact."""

    artifact: str
    text: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What an attempt used. Zero tokens: the agent did not say."""

    model: str = ""
    tokens: int = 0
    cost: float | None = None
    """US dollars; None: unknown."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a subagent returns. Its texts are harmless single lines: make one with `reply.make_reply`."""

    summary: str
    decisions: tuple[str, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    usage: Usage = Usage()
    flags: tuple[ReplyFlag, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no reply: one line, and details (harmless lines) for whoever looks closer."""

    reason: str
    details: tuple[str, ...] = ()


class Agent(Protocol):
    """A kind of agent, configured."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    async def run(self, assignment: Assignment, progress: Progress) -> Reply | Failure:
        """Work on an assignment to its end. Cancelling it ends everything that it started."""
        ...
