"""The orchestrator of a worker in the test's own process: what it sends and hears."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from conftest import Workspace
from waiting import wait_until_async

from gitbatch.agents.command.table import CommandAgent
from gitbatch.agents.pool import AgentPool
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.protocol import Assignment
from gitbatch.batch.executor.frames import FrameReader, pack_frame
from gitbatch.batch.executor.message_codec import decode_from_worker, encode_message
from gitbatch.batch.executor.messages import (
    CHUNK_BYTES,
    WORKER_FRAME,
    Bye,
    CheckJob,
    FromWorker,
    ItemJob,
    JobResult,
    PackEnd,
    PackPart,
    ToWorker,
    Welcome,
)
from gitbatch.batch.executor.shipment import HaveSet, open_temporary, plan_shipment, write_pack
from gitbatch.batch.worker.identity import WorkerIdentity
from gitbatch.batch.worker.item_job import JobTools
from gitbatch.batch.worker.orchestrator_service import OrchestratorService, ServeEnd
from gitbatch.batch.worker.stdio import WorkerSettings, list_spooled, open_job_tools
from gitbatch.batch.workplace.protocol import WorkplaceSetup
from gitbatch.concurrency import GitThread
from gitbatch.plan.model import ItemKey
from gitbatch.project.check_tables import CheckTable
from gitbatch.repo.repository import Repository
from gitbatch.sandbox.model import SandboxKind

TOKEN, OTHER = "ab" * 16, "cd" * 16
KEY = "sk-0123456789-secret"


Heard = TypeVar("Heard", bound=msgspec.Struct)


@dataclass
class Orchestrator:
    """The other end of a worker's connection."""

    repo: Repository
    settings: WorkerSettings
    git: GitThread
    pool: AgentPool
    have: HaveSet = field(default_factory=HaveSet)
    heard: list[FromWorker] = field(default_factory=list)
    service: OrchestratorService | None = None
    last: ItemJob = field(init=False)
    writer: asyncio.StreamWriter | None = None
    names_spooled: bool = True

    async def talk(self, script: "Callable[[Orchestrator], Awaitable[None]]") -> ServeEnd:
        """Let a worker serve a script; returns why it has ended."""
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=theirs)
        our_reader, self.writer = await asyncio.open_connection(sock=ours)
        spooled = list_spooled(self.settings) if self.names_spooled else ()
        identity = WorkerIdentity("here", 2, "none", spooled)
        work = self.settings.folder / "work"
        self.service = OrchestratorService(reader, writer, self._open_tools, identity, work)
        serving = asyncio.create_task(self.service.serve())
        listening = asyncio.create_task(self._listen(our_reader))
        self.send(Welcome(1, "1", "0" * 16, "sha1"))
        await script(self)
        ended = await serving
        writer.close()
        await listening
        self.writer.close()
        return ended

    async def _open_tools(self, welcome: Welcome, opened: ExitStack) -> JobTools:
        return await self.git(open_job_tools, self.settings, welcome, self.pool, self.git, opened)

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        frames = FrameReader(WORKER_FRAME, needs_magic=True)
        while data := await reader.read(65536):
            self.heard += map(decode_from_worker, frames.take_bytes(data))

    def send(self, *messages: ToWorker) -> None:
        assert self.writer
        for message in messages:
            self.writer.write(pack_frame(encode_message(message)))

    def send_job(
        self,
        script: str,
        token: str = TOKEN,
        most: int = 1000,
        seconds: float = 60.0,
        left: float | None = None,
        **table: Any,  # noqa: ANN401 - fields of the table
    ) -> None:
        """Send a job whose agent runs a piece of shell, and what it needs."""
        head = self.repo.refs.commit("HEAD") or ""
        tree = self.repo.objects.tree_of(head)
        branch = f"refs/heads/gitbatch/b/{token[:4]}"
        setup = WorkplaceSetup(branch, head, tree, "out/a.md", ("a.txt", "out/"), ("a.txt",), None)
        self._send_objects(setup)
        agent = CommandAgent(command=("sh", "-c", script), **table)
        assignment = Assignment(ItemKey("a"), "out/a.md", "Write.\n", (), seconds, 1)
        encoded = msgspec.json.encode(agent)
        self.last = ItemJob(token, "b", token[:4], "writer", encoded, assignment, setup, most, left)
        self.send(self.last)

    def send_check(self, table: CheckTable, token: str = TOKEN) -> None:
        """Send a check of a file of the commit, and what it needs."""
        head = self.repo.refs.commit("HEAD") or ""
        tree = self.repo.objects.tree_of(head)
        setup = WorkplaceSetup("", head, tree, "a.txt", None, (), None)
        self._send_objects(setup)
        self.send(CheckJob(token, "words", msgspec.json.encode(table), False, setup, setup, False))

    async def wait_for_result(self, count: int = 1) -> JobResult:
        return await self.wait_for(JobResult, count)

    async def wait_for(self, kind: type[Heard], count: int = 1) -> Heard:
        """Wait for some messages of a kind; returns the last one."""
        await wait_until_async(lambda: len(self.of(kind)) == count, self.heard)
        return self.of(kind)[-1]

    def _send_objects(self, setup: WorkplaceSetup) -> None:
        lacking = plan_shipment(self.repo.objects, setup, self.have)
        if lacking.oids:
            with open_temporary(self.repo.root.parent) as descriptor:
                size = write_pack(self.repo, lacking.oids, descriptor)
                for at in range(0, size, CHUNK_BYTES):
                    self.send(PackPart(os.pread(descriptor, CHUNK_BYTES, at), is_first=at == 0))
                self.send(PackEnd())
            self.have.note_shipment(lacking)

    def results(self) -> list[JobResult]:
        """All results that have come."""
        return self.of(JobResult)

    def of(self, kind: type[Heard]) -> list[Heard]:
        return [message for message in self.heard if isinstance(message, kind)]


@pytest.fixture
def far(repo: Repository, workspace: Workspace, tmp_path: Path) -> Iterator[Orchestrator]:
    settings = WorkerSettings(
        folder=tmp_path / "far",
        environment={**workspace.environment, "KEY": KEY},
        sandbox=SandboxKind.NONE,
    )
    (settings.folder / "work").mkdir(parents=True)
    with closing(Starter()) as starter, closing(GitThread()) as git:
        pool = AgentPool(dict(settings.environment), settings.sandbox, starter)
        yield Orchestrator(repo, settings, git, pool)


def talk(far: Orchestrator, *steps: Callable[[Orchestrator], Awaitable[object] | None]) -> ServeEnd:
    """Do some steps with a worker, then say good-bye."""

    async def script(far: Orchestrator) -> None:
        for step in steps:
            done = step(far)
            if done is not None:
                await done
        far.send(Bye())

    far.heard.clear()
    return asyncio.run(far.talk(script))
