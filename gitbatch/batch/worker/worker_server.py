"""A worker that runs connect to: several at the same time, which share its slots.

Each run has a connection, a copy of its repository and agents of its own. What one says ends, cancels or forgets nothing of another.
"""

import asyncio
import socket
import ssl
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from gitbatch.agents.pool import AgentPool
from gitbatch.agents.process.children import make_room
from gitbatch.agents.process.starter import Starter
from gitbatch.batch.executor.messages import Welcome
from gitbatch.batch.executor.tls import PATIENCE
from gitbatch.batch.worker.equipment import list_equipment
from gitbatch.batch.worker.identity import WorkerIdentity
from gitbatch.batch.worker.item_job import JobTools
from gitbatch.batch.worker.orchestrator_service import OrchestratorService
from gitbatch.batch.worker.shared_slots import SharedSlots
from gitbatch.batch.worker.stdio import (
    WorkerSettings,
    list_running,
    list_spooled,
    open_job_tools,
    select_sandbox_of,
)
from gitbatch.concurrency import GitThread
from gitbatch.project.cluster import ClusterAddress

MOST_RUNS = 64
"""The most runs that are connected at the same time."""
MOST_SHAKING = 128
"""The most connections in `PATIENCE` seconds that have not shown a certificate: each has a descriptor, as agents need them."""
_EACH_AGENT = 16
"""Descriptors; see `make_room`."""
_SILENCE_MILLISECONDS = 60_000
"""After which a run that does not take what is sent is gone."""


@dataclass(slots=True)
class WorkerServer:
    """The socket on which a worker listens, and the runs that are connected. Belongs to one event loop."""

    settings: WorkerSettings
    context: ssl.SSLContext | None
    """None: it is not encrypted, and reached from this machine alone."""
    listen: ClusterAddress
    """Where it listens; port 0: a free one."""
    starter: Starter
    git: GitThread
    _slots: SharedSlots = field(init=False)
    _sandbox: str = field(init=False)
    _server: asyncio.Server | None = None
    _shaking: deque[float] = field(default_factory=deque)
    """When those began that have not shown a certificate, by the loop's clock."""
    _services: "dict[asyncio.Task[None], OrchestratorService]" = field(default_factory=dict)

    def __post_init__(self) -> None:
        connections = (MOST_RUNS + MOST_SHAKING) // _EACH_AGENT
        self._slots = SharedSlots(min(self.settings.slots, make_room(self.settings.slots + connections)))
        self._sandbox = select_sandbox_of(self.settings).kind

    async def start(self) -> int:
        """Begins to listen; returns the port.

        Raises:
            OSError: that is not possible there.
        """
        (self.settings.folder / "work").mkdir(parents=True, exist_ok=True)
        host, port = self.listen.host, self.listen.port
        patience = PATIENCE if self.context else None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._accept_run, host, port, ssl=self.context, ssl_handshake_timeout=patience
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Takes no further item; returns when those that run have ended, and their results are sent or kept."""
        if self._server:
            self._server.close()
        for service in self._services.values():
            service.stopping.set()
        if self._services:
            await asyncio.wait(self._services.keys())

    def end_jobs(self) -> None:
        """Ends all items that run."""
        for task in self._services:
            task.cancel()

    def _accept_run(self) -> asyncio.StreamReaderProtocol:
        """Returns the protocol of a new connection, which has not shown its certificate.

        Raises:
            ConnectionRefusedError: too many have not; the connection is closed.
        """
        now = asyncio.get_running_loop().time()
        while self._shaking and self._shaking[0] < now - PATIENCE:
            self._shaking.popleft()
        if len(self._shaking) >= MOST_SHAKING:
            raise ConnectionRefusedError
        self._shaking.append(now)
        return asyncio.StreamReaderProtocol(asyncio.StreamReader(), self._serve_run)

    async def _serve_run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._shaking:
            self._shaking.pop()
        task = asyncio.current_task()
        is_stopped = (
            self._server is not None and not self._server.is_serving()
        )  # meanwhile, while it shook hands
        if task is None or is_stopped or len(self._services) >= MOST_RUNS:
            writer.transport.abort()
            return
        _limit_silence(writer)
        settings = self.settings
        pool = AgentPool(dict(settings.environment), settings.sandbox, self.starter)

        async def open_tools(welcome: Welcome, opened: ExitStack) -> JobTools:
            return await self.git(open_job_tools, settings, welcome, pool, self.git, opened)

        kept = (list_spooled(settings), list_running(settings))
        identity = WorkerIdentity(
            settings.host, self._slots.count, self._sandbox, *kept, *list_equipment(settings.environment)
        )
        work = settings.folder / "work"
        service = OrchestratorService(reader, writer, open_tools, identity, work, slots=self._slots)
        self._services[task] = service
        try:
            with suppress(asyncio.CancelledError):  # by `end_jobs`
                await service.serve()
        finally:
            del self._services[task]
            await pool.close()
            writer.close()


def _limit_silence(writer: asyncio.StreamWriter) -> None:
    """Lets the system notice that the machine of a run is gone."""
    connection: socket.socket = writer.get_extra_info("socket")
    with suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENCE_MILLISECONDS)
