"""A worker that is started by its orchestrator, and talks to it through standard input and output."""

import asyncio
import os
import signal
import socket
import stat
import sys
from collections.abc import Mapping
from contextlib import ExitStack, closing
from pathlib import Path

from msgspec import Struct

from gitbatch.agents.pool import AgentPool
from gitbatch.agents.process.children import make_room, watch_by_descriptor
from gitbatch.agents.process.starter import Starter
from gitbatch.batch.executor.messages import MOST_SPOOLED, Welcome
from gitbatch.batch.worker.equipment import list_equipment
from gitbatch.batch.worker.identity import WorkerIdentity
from gitbatch.batch.worker.item_job import JobTools
from gitbatch.batch.worker.orchestrator_service import OrchestratorService, ServeEnd
from gitbatch.batch.worker.repository_copy import open_repository_copy
from gitbatch.batch.worker.spool import Spool
from gitbatch.batch.workplace.kinds import KindChoice, WorktreeKind, choose_kind
from gitbatch.concurrency import GitThread
from gitbatch.errors import GitbatchError
from gitbatch.sandbox.model import Sandbox, SandboxKind
from gitbatch.sandbox.selection import select_sandbox

_NO_SANDBOX = (
    "install bubblewrap; in a container, allow user namespaces (gitbatch help deployments);"
    " --sandbox none runs agents without a sandbox"
)

STOP_SIGNALS = (signal.SIGTERM, signal.SIGURG)
"""They ask a worker to stop. SLURM sends a signal to agents too: the second one is ignored by programs that do not know it."""


class WorkerSettings(Struct, frozen=True, kw_only=True):
    """How a worker is started."""

    folder: Path
    """Its folder: the copies of repositories, the cache, the spool."""
    environment: Mapping[str, str]
    """Its variables: agents get their keys from here."""
    slots: int = 4
    """The agents that run at the same time."""
    sandbox: SandboxKind = SandboxKind.AUTO
    """That of all agents, whatever the orchestrator's configuration says."""
    name: str = ""
    """Empty: that of the machine."""
    hidden: tuple[Path, ...] = ()
    """What agents may not read, wherever it is: the key of its certificate."""

    @property
    def host(self) -> str:
        """The name under which it is shown."""
        return (self.name or socket.gethostname())[:100]

    def open_spool(self, repository: str) -> Spool:
        """Returns the spool of a repository; empty: of all repositories."""
        return Spool(self.folder / "spool" / repository)


def choose_worktrees_of(settings: WorkerSettings, files: int | None = None) -> KindChoice:
    """Returns the kind of worktree that a worker makes, by how many files it has; None: all of a commit.

    Raises:
        GitbatchError: no sandbox works here, or no worktree of the wanted kind.
    """
    wanted = settings.environment.get("GITBATCH_WORKTREE") or "auto"
    sandbox = select_sandbox_of(settings).kind
    return choose_kind(wanted, {sandbox}, settings.folder / "work", settings.folder / "work", files)


def select_sandbox_of(settings: WorkerSettings) -> Sandbox:
    """Returns the sandbox of a worker's agents.

    Raises:
        GitbatchError: it does not work here.
    """
    try:
        return select_sandbox(settings.sandbox)
    except GitbatchError as error:
        raise GitbatchError(error.message, _NO_SANDBOX, error.details) from error


def list_spooled(settings: WorkerSettings) -> tuple[str, ...]:
    """Returns the tokens of all results that a worker keeps."""
    top = settings.folder / "spool"
    top.mkdir(parents=True, exist_ok=True)
    folders = sorted(path.name for path in top.iterdir() if path.is_dir())
    most = MOST_SPOOLED // max(1, len(folders))  # of each, the newest
    return tuple(token for name in folders for token in settings.open_spool(name).list_tokens()[-most:])


def list_running(settings: WorkerSettings) -> tuple[str, ...]:
    """Returns the tokens of all jobs on which other processes of a worker still work."""
    folders = (settings.folder / "spool").glob("*/")
    return tuple(token for path in folders for token in Spool(path).list_running())[:MOST_SPOOLED]


def serve_stdio(settings: WorkerSettings) -> ServeEnd:
    """Works for the orchestrator at the other end of standard input and output, until that ends it or is gone.

    Raises:
        GitbatchError: no sandbox works here, or no worktree can be made.
    """
    watch_by_descriptor()
    sandbox = select_sandbox_of(settings)
    (settings.folder / "work").mkdir(parents=True, exist_ok=True)
    # What anything else prints must not get between the messages.
    sent = os.dup(1)
    os.dup2(2, 1)
    has = (list_spooled(settings), list_running(settings), *list_equipment(settings.environment))
    identity = WorkerIdentity(settings.host, make_room(settings.slots), sandbox.kind, *has)
    with closing(Starter()) as starter, closing(GitThread()) as git:
        pool = AgentPool(dict(settings.environment), settings.sandbox, starter)
        return asyncio.run(_serve(settings, identity, pool, git, sent))


async def _serve(
    settings: WorkerSettings, identity: WorkerIdentity, pool: AgentPool, git: GitThread, sent: int
) -> ServeEnd:
    async def open_tools(welcome: Welcome, opened: ExitStack) -> JobTools:
        return await git(open_job_tools, settings, welcome, pool, git, opened)

    reader, writer = await _open_streams(sent)
    folder = settings.folder / "work"
    service = OrchestratorService(reader, writer, open_tools, identity, folder)
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, service.stopping.set)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)  # the orchestrator's end of the connection says more
    try:
        return await service.serve()
    finally:
        await pool.close()
        writer.close()


def open_job_tools(
    settings: WorkerSettings, welcome: Welcome, pool: AgentPool, git: GitThread, opened: ExitStack
) -> JobTools:
    """Opens what the jobs for one repository need. Runs on the git thread; `opened` closes it."""

    def find_kind(files: int | None) -> WorktreeKind:
        kind = choose_worktrees_of(settings, files).kind
        if kind is WorktreeKind.OVERLAY:  # the launcher mounts them, also where no sandbox needs it
            pool.starter.start_server()
        return kind

    home = Path(settings.environment.get("HOME", "/nonexistent"))
    copy = opened.enter_context(open_repository_copy(settings.folder, welcome, git, find_kind, home))
    copy.hidden = (*copy.hidden, *settings.hidden)
    spool = settings.open_spool(welcome.repository)
    spool.list_tokens()
    return JobTools(copy, pool, spool)


async def _open_streams(sent: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    found = os.fstat(sent)
    if stat.S_ISSOCK(found.st_mode) and os.path.samestat(os.fstat(0), found):
        # One socket for both, as some servers of ssh and socat start a program: a pipe's transport would take what
        # can be read from it for its end.
        return await asyncio.open_connection(sock=socket.socket(fileno=sent))
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    file = os.fdopen(sent, "wb", buffering=0)
    transport, protocol = await loop.connect_write_pipe(lambda: asyncio.streams.FlowControlMixin(loop), file)
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
