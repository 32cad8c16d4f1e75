"""The messages of an orchestrator and a worker: `Hello`, `ItemJob`, `JobEvent`s, `JobUsage`s, a `JobResult`, `CancelJob`, `ForgetJobs`.

Every value has bounds, which are checked when it is decoded: lengths, counts, and no negative cost. A worker is believed
nothing that matters: it names no path, no object and no ref that is used. Texts are made harmless in one place, `sent_answers.py`.
"""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

from gitbatch.agents.protocol import Assignment, OutputStream, ReplyFlag
from gitbatch.batch.workplace.protocol import WorkplaceSetup
from gitbatch.checks.verdict import CheckVerdict
from gitbatch.limits.causes import Cause, WaitReason

PROTOCOL = 1
"""Changes with every change that the other side must know of. It decides who works with whom, not the version."""
WORKER_FRAME = 2 * 1024 * 1024
"""The most bytes of a message of a worker."""
ORCHESTRATOR_FRAME = 64 * 1024 * 1024
"""The most bytes of a message to a worker: an assignment lists all files that an item reads."""
CHUNK_BYTES = 256 * 1024
"""The bytes of a file or a pack that are sent at a time."""
MOST_PATHS = 20_000
"""The most changed paths of a job; a worker leaves out what is beyond that."""
PATH_CHARACTERS = 1_000_000
"""The most characters of all of them."""
PATHS_AT_ONCE = 256
"""The most paths in a message."""
MOST_DETAILS = 100
MOST_ENTRIES = 100
MOST_SPOOLED = 5_000
"""The most results that a worker names: what git has is removed from its spool, so only those of a killed run are left."""
MOST_SLOTS = 1024
MOST_VALUE = 64 * 1024
"""The most characters of the value of a variable."""

Token = Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
"""What a job and its result are known by."""
_Name = Annotated[str, Meta(max_length=200)]
_Text = Annotated[str, Meta(max_length=8_000)]
_Line = Annotated[str, Meta(max_length=4_000)]
_Path = Annotated[str, Meta(max_length=4_096)]
_Paths = Annotated[tuple[_Path, ...], Meta(max_length=PATHS_AT_ONCE)]
_Count = Annotated[int, Meta(ge=0, le=10**15)]
_Chunk = Annotated[bytes, Meta(max_length=CHUNK_BYTES)]


class SentUsage(Struct, frozen=True):
    """What an agent has used, as a worker says."""

    model: _Name = ""
    input: _Count = 0
    output: _Count = 0
    cache_read: _Count = 0
    cache_write: _Count = 0
    requests: _Count = 0
    cost: Annotated[float, Meta(ge=0, le=10**9)] | None = None


class SentContribution(Struct, frozen=True):
    """A line for a shared artifact."""

    artifact: _Text
    text: _Text


class SentReply(Struct, frozen=True, tag="reply"):
    """The reply of an agent."""

    summary: _Text
    decisions: Annotated[tuple[_Text, ...], Meta(max_length=MOST_ENTRIES)] = ()
    contributions: Annotated[tuple[SentContribution, ...], Meta(max_length=MOST_ENTRIES)] = ()
    usage: SentUsage = SentUsage()
    flags: Annotated[tuple[ReplyFlag, ...], Meta(max_length=10)] = ()


class SentFailure(Struct, frozen=True, tag="failure"):
    """The failure of an agent."""

    reason: _Text
    details: Annotated[tuple[_Text, ...], Meta(max_length=MOST_DETAILS)] = ()
    cause: Cause = Cause.FAILED
    retry_after: Annotated[float, Meta(ge=0, le=10**9)] | None = None
    usage: SentUsage = SentUsage()
    wait_reason: WaitReason = WaitReason.SERVER_BUSY
    is_guess: bool = False


class Hello(Struct, frozen=True, tag="hello"):
    """The first message of a worker."""

    protocol: Annotated[int, Meta(ge=0, le=10**6)]
    version: _Name
    host: _Name
    slots: Annotated[int, Meta(ge=1, le=MOST_SLOTS)]
    sandbox: _Name
    spooled: Annotated[tuple[Token, ...], Meta(max_length=MOST_SPOOLED)] = ()
    """Results that it keeps."""
    running: Annotated[tuple[Token, ...], Meta(max_length=MOST_SPOOLED)] = ()
    """Jobs of connections that were cut, on which other processes of it still work."""
    programs: Annotated[tuple[_Name, ...], Meta(max_length=MOST_ENTRIES)] = ()
    """The known agents that are on PATH there."""
    keys: Annotated[tuple[_Name, ...], Meta(max_length=MOST_ENTRIES)] = ()
    """The names of the variables for their keys that are set there."""


class Alive(Struct, frozen=True, tag="alive"):
    """Shows that a worker is there, while it has nothing to say."""

    takes_jobs: bool = True
    """Whether it takes further jobs; not if it was asked to stop."""
    slots: Annotated[int, Meta(ge=0, le=MOST_SLOTS)] | None = None
    """The jobs that it takes at a time now, where several runs share its slots; None: as before."""


class NoSlot(Struct, frozen=True, tag="no-slot"):
    """All slots are taken, by another run too: the job was not begun, and has cost nothing."""

    token: Token
    slots: Annotated[int, Meta(ge=0, le=MOST_SLOTS)]
    """The jobs that it takes at a time now."""


class JobEvent(Struct, frozen=True, tag="event"):
    """A line that an agent shows."""

    token: Token
    stream: OutputStream
    line: _Line


class JobUsage(Struct, frozen=True, tag="usage"):
    """What an agent has used so far, while it works: all of the job, never less than before."""

    token: Token
    usage: SentUsage


class JobChanges(Struct, frozen=True, tag="changes"):
    """Some of the paths that an agent changed; see `WorkplaceChanges`."""

    token: Token
    written: _Paths = ()
    removed: _Paths = ()
    deleted: _Paths = ()
    replaced: _Paths = ()


class JobChunk(Struct, frozen=True, tag="chunk"):
    """The next bytes of an item's one output."""

    token: Token
    data: _Chunk


class JobResult(Struct, frozen=True, tag="result"):
    """The end of a job: the changed paths and the bytes of the output have been sent before."""

    token: Token
    answer: SentReply | SentFailure
    size: _Count | None = None
    """The bytes of the output; None: it cannot be taken. More than the job allows are not sent."""
    problem: _Text = ""
    """Why it cannot be taken; empty: it is missing."""
    is_gone: bool = False
    """Whether the worktree was removed while the agent ran."""


class CheckDone(Struct, frozen=True, tag="check-done"):
    """The end of a check, with its verdict."""

    token: Token
    verdict: CheckVerdict
    seconds: Annotated[float, Meta(ge=0, le=10**7)]
    reason: _Text = ""
    findings: Annotated[tuple[_Text, ...], Meta(max_length=MOST_DETAILS)] = ()


class JobRefused(Struct, frozen=True, tag="refused"):
    """This machine lacks what the job's agent needs: it has not begun, and another machine may have that."""

    token: Token
    reason: _Text


class Bye(Struct, frozen=True, tag="bye"):
    """The last message of either side."""

    reason: _Text = ""


class Welcome(Struct, frozen=True, tag="welcome"):
    """The first message to a worker: what its copies of the repository must be like."""

    protocol: int
    version: str
    repository: Annotated[str, Meta(pattern=r"\A[0-9a-f]{16}\Z")]
    """Stands for the repository: what a worker keeps of it is kept below this name."""
    object_format: Literal["sha1", "sha256"]
    settings: tuple[tuple[str, str], ...] = ()
    """The settings of git about files and line ends."""
    attributes: bytes = b""
    """The user's own attributes, which are in no commit."""


class SentValue(Struct, frozen=True):
    """The value of a variable of the user's; empty: it is not set. It is kept in memory alone."""

    name: _Name
    value: Annotated[str, Meta(max_length=MOST_VALUE)]

    def __repr__(self) -> str:
        """Returns the name: a value in a traceback would be in a file."""
        return f"SentValue({self.name})"


class SentSecrets(Struct, frozen=True, tag="secrets"):
    """The keys of agents, before the greeting: for the jobs of this connection, and never a part of one."""

    values: Annotated[tuple[SentValue, ...], Meta(max_length=MOST_ENTRIES)]


class PackPart(Struct, frozen=True, tag="pack-part"):
    """The next bytes of a pack."""

    data: _Chunk
    is_first: bool = False
    """Whether a pack begins with it: what has come of another one before is dropped. Its item was stopped meanwhile."""


class PackEnd(Struct, frozen=True, tag="pack-end"):
    """The end of a pack: its objects are there for all jobs that follow."""


class ItemJob(Struct, frozen=True, tag="job"):
    """An attempt at an item, for a worker that has all objects that it needs."""

    token: Token
    batch: str
    slug: str
    agent: str
    """The name of the agent."""
    table: bytes
    """Its settings, as JSON."""
    assignment: Assignment
    setup: WorkplaceSetup
    most_bytes: int
    """Of the output."""
    cost_left: float | None = None
    """The US dollars that the batch has left for it; None: no limit."""
    tokens_left: int | None = None
    """The tokens that the batch has left; None: no limit."""
    counts_usage: bool = False
    """Whether the run counts `JobUsage`: one of an earlier version does not know it."""

    @property
    def setups(self) -> tuple[WorkplaceSetup, ...]:
        """All that the worker needs the objects of."""
        return (self.setup,)


class CheckJob(Struct, frozen=True, tag="check"):
    """A check or gate, for a worker that has all objects that it needs."""

    token: Token
    name: str
    table: bytes
    """Its settings, as JSON."""
    is_gate: bool
    setup: WorkplaceSetup
    """The content of its folder; `earlier` is the blob of the output."""
    base: WorkplaceSetup
    """What the target branch is at in the folder."""
    reads_blob: bool
    """See `RemoteCheck`."""

    @property
    def setups(self) -> tuple[WorkplaceSetup, ...]:
        """All that the worker needs the objects of."""
        return (self.base, self.setup)


class CancelJob(Struct, frozen=True, tag="cancel"):
    """Ends a job, with every process of it. No result follows."""

    token: Token


class ForgetJobs(Struct, frozen=True, tag="forget"):
    """Removes results: git has them now."""

    tokens: tuple[Token, ...]


FromWorker: TypeAlias = (
    Hello
    | Alive
    | NoSlot
    | JobEvent
    | JobUsage
    | JobChanges
    | JobChunk
    | JobResult
    | JobRefused
    | CheckDone
    | Bye
)
ToWorker: TypeAlias = (
    SentSecrets | Welcome | PackPart | PackEnd | ItemJob | CheckJob | CancelJob | ForgetJobs | Bye
)
