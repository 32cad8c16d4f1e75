"""The interface of an agent: it receives an assignment and returns a reply or a failure.

An agent does not commit or merge, and need not be trusted: only its one output file and its reply are used. A new
kind of agent is a folder of its own and a line in `project/agent_kinds.py`.

An assignment with a `review` asks for a verdict on an output instead. A kind answers it with `reply.make_review` for
the last message of a model, `reply.parse_review` for a reply file; it gives its program nothing to write with.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.review.model import Review, ReviewRequest
from gitbatch.fs.layers import is_in_layers
from gitbatch.limits.causes import Cause, WaitReason
from gitbatch.limits.usage import Usage
from gitbatch.plan.model import ItemKey
from gitbatch.project.context import ContextFile, MissingInput
from gitbatch.sandbox.model import Overlay
from gitbatch.text import CleanText

if TYPE_CHECKING:  # it brings asyncio, and this module is imported by everything that knows an outcome
    from gitbatch.repo.base import Base


class OutputStream(StrEnum):
    """The origin of a line that an agent prints."""

    OUTPUT = "output"
    ERROR = "error"
    PROGRESS = "progress"


Progress = Callable[[OutputStream, CleanText], None]
"""Called with each line as it comes."""


class ReplyFlag(StrEnum):
    """A deficiency of a reply that is used nevertheless; the values are codes in JSON and in trailers."""

    SUMMARY_MISSING = "summary-missing"
    SUMMARY_SHORT = "summary-short"
    SUMMARY_CUT = "summary-cut"
    USAGE_MISSING = "usage-missing"
    """The server did not report how many tokens its answers took."""


FLAG_DESCRIPTIONS: Mapping[ReplyFlag, str] = MappingProxyType(
    {
        ReplyFlag.SUMMARY_MISSING: "no summary",
        ReplyFlag.SUMMARY_SHORT: "short summary",
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
    """The result of an agent that succeeded. `reply.make_reply` makes one."""

    summary: CleanText
    decisions: tuple[CleanText, ...] = ()
    contributions: tuple[Contribution, ...] = ()
    usage: Usage = Usage()
    flags: tuple[ReplyFlag, ...] = ()
    review: Review | None = None
    """The verdict, if the assignment is a review; then only this and the usage count."""


class Failure(Struct, frozen=True):
    """The result of an agent that failed: the reason in one line, and details."""

    reason: CleanText
    details: tuple[CleanText, ...] = ()
    cause: Cause = Cause.FAILED
    retry_after: float | None = None
    """Seconds that a busy server asked to wait; None: it did not say."""
    usage: Usage = Usage()
    wait_reason: WaitReason = WaitReason.SERVER_BUSY
    """What all items wait for, if the cause is BUSY."""
    is_guess: bool = False
    """The cause is a guess from the output of a program: it may be wrong, so it is believed only a few times."""


class EarlierOutput(Struct, frozen=True):
    """The output of an earlier attempt: it is at its path when the agent starts."""

    blob: str
    may_stay: bool
    """Whether it can be the output as it is: the attempt did not fail because of it."""


class Assignment(Struct, frozen=True):
    """What is asked of an agent in one attempt, as values only: it can be encoded and sent to another machine."""

    item: ItemKey
    """The item's key."""
    output: str
    """The one path, relative to the worktree, that the agent is to write, or to judge if it is a review."""
    prompt: str
    context: tuple[ContextFile, ...]
    timeout: float
    """Seconds."""
    attempt: int
    previous: Failure | None = None
    """Why the attempt before this one failed."""
    earlier: EarlierOutput | None = None
    """The output of an earlier attempt, if it was kept."""
    revised: tuple[str, ...] = ()
    """The names of the items of earlier groups that wrote the output as it is at the start."""
    used: Usage = Usage()
    """Usage of all earlier attempts at the item, over all starts of the batch; the cost as far as it is known."""
    group: str = ""
    """The title and prose of the group: the same for all of its items."""
    instructions: str = ""
    """The item as it stands in the plan. An agent that builds its own prompt uses this and `group`."""
    artifacts: tuple[str, ...] = ()
    """The shared artifacts that it may contribute to. The prompt names them."""
    missing: tuple[MissingInput, ...] = ()
    """Files that the item is meant to read and does not get."""
    review: ReviewRequest | None = None
    """The agent is to judge the output, which is there, and may write nothing. It replies with `Reply.review`."""


class AgentFolders(Struct, frozen=True):
    """The folders of this machine that an agent uses for one attempt; it gets them together with its assignment."""

    worktree: Path
    """As the program sees it."""
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
    overlay: Overlay | None = None
    """What is mounted at `worktree` for programs, and for nothing else; None: `worktree` has the files."""
    slot: int = 0
    """A number that no other attempt has at the same time, from 0 on, for ports and databases."""

    @property
    def layers(self) -> tuple[Path, ...]:
        """The folders with the files of the worktree, the uppermost first; all changes are in the first."""
        return (self.overlay.upper, *self.overlay.lower) if self.overlay else (self.worktree,)

    @property
    def changed(self) -> Path:
        """The folder that has all that programs change, outside of their mounts."""
        return self.layers[0]

    def show_to(self, used: Iterable[Path]) -> "AgentFolders":
        """Returns the folders for a program that uses some paths of the user's checkouts.

        A worktree that is mounted where the checkout is hides them, so unless it has them, it is mounted at its own folder.
        """
        if self.overlay is None:
            return self
        lower, top = self.overlay.lower, self.worktree.resolve()
        forms = (form for path in used for form in (path, path.resolve()))
        hidden = (path for path in forms if path.is_relative_to(top))
        if all(path != top and is_in_layers(lower, str(path.relative_to(top))) for path in hidden):
            return self
        return replace(self, worktree=self.overlay.upper)

    def has_file(self, path: str) -> bool:
        """Whether something is at a path of the worktree; no link on the way is followed."""
        with suppress(OSError):
            return is_in_layers(self.layers, path)
        return False


class Agent(Protocol):
    """A kind of agent, configured."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    @property
    def knows_usage(self) -> bool:
        """Whether it reports how many tokens its attempts use: otherwise no limit of tokens can be kept."""
        ...

    @property
    def knows_cost(self) -> bool:
        """Whether it reports what its attempts cost: otherwise no cost limit can be kept."""
        ...

    @property
    def cost_limit(self) -> float | None:
        """The most US dollars that it spends on an item; None: it has no such limit."""
        ...

    @property
    def sandbox_kind(self) -> str:
        """The kind of sandbox that its processes run in; empty if it has none."""
        ...

    @property
    def notes(self) -> tuple[CleanText, ...]:
        """Lines about it for the header of a run: what it may do that other agents may not."""
        ...

    def read_in_checkouts(self, checkouts: tuple[Path, ...]) -> tuple[Path, ...]:
        """Returns the paths in the user's checkouts that its processes may read."""
        ...

    def find_used_in(self, checkouts: tuple[Path, ...]) -> tuple[Path, ...]:
        """Returns the paths in the user's checkouts that its processes need at their own paths, sandbox or not."""
        ...

    def find_missing_program(self, has_file: Callable[[str], bool]) -> str:
        """Returns the program that it needs and that is not found here; empty if all are found.

        Args:
            has_file: whether a worktree will have a file at a repository path.
        """
        ...

    async def run(self, assignment: Assignment, folders: AgentFolders, progress: Progress) -> Reply | Failure:
        """Works on an assignment until it is done. Cancelling the call ends every process that it started.

        Raises:
            AttemptInterruptedError: it was cancelled; for a kind that does not charge each of its requests.
        """
        ...

    async def close(self) -> None:
        """Releases what it keeps for the whole run, such as connections."""
        ...
