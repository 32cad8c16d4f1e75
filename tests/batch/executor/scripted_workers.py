"""Workers in the test's own process that do what a test tells them, and a carrier that has them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from conftest import Workspace
from sessions import run_here

from gitbatch.batch.ending import Result
from gitbatch.batch.executor.carrier import CarrierTools, ChannelError, WorkerLink
from gitbatch.batch.executor.message_codec import (
    MessageError,
    decode_from_worker,
    decode_to_worker,
    encode_message,
)
from gitbatch.batch.executor.messages import (
    PROTOCOL,
    Bye,
    CheckJob,
    FromWorker,
    Hello,
    ItemJob,
    JobChanges,
    JobChunk,
    JobResult,
    SentReply,
    ToWorker,
    Welcome,
)

REPLY = SentReply("Wrote the page. It is short.")
HELLO = Hello(PROTOCOL, "1.0", "far", 2, "bubblewrap")


@dataclass
class ScriptedChannel:
    """A connection to a scripted worker: each message passes as bytes, as it does on a wire."""

    script: "Script"
    hello: Hello
    is_broken: bool = False
    """Whether jobs cannot be sent."""
    checks: "Callable[[ScriptedChannel, CheckJob], None]" = lambda *_: None
    """Answers each check."""
    said: list[ToWorker] = field(default_factory=list)
    _waiting: "asyncio.Queue[FromWorker | None]" = field(default_factory=asyncio.Queue)
    _jobs: "list[asyncio.Task[None]]" = field(default_factory=list)

    def __post_init__(self) -> None:
        self._waiting.put_nowait(self.hello)

    def tell(self, *messages: FromWorker) -> None:
        """Say something to the orchestrator."""
        for message in messages:
            self._waiting.put_nowait(message)

    def die(self) -> None:
        """End the connection."""
        self._waiting.put_nowait(None)

    async def send(self, message: ToWorker) -> None:
        arrived = decode_to_worker(encode_message(message))
        if self.is_broken and not isinstance(arrived, Bye | Welcome):
            self.die()
            raise ChannelError("broken pipe")
        self.said.append(arrived)
        if isinstance(arrived, ItemJob):
            self._jobs.append(asyncio.create_task(self._do(arrived)))
        elif isinstance(arrived, CheckJob):
            self.checks(self, arrived)

    async def _do(self, job: ItemJob) -> None:
        await self.script(self, job)

    async def receive(self) -> list[FromWorker]:
        message = await self._waiting.get()
        if message is None:
            raise ChannelError("the connection is gone")
        try:
            return [decode_from_worker(encode_message(message))]
        except MessageError as error:
            raise ChannelError(str(error)) from error

    async def close(self, patience: float) -> None:
        assert patience >= 0
        for job in self._jobs:
            job.cancel()

    def jobs(self) -> list[ItemJob]:
        """The jobs that it was given."""
        return [message for message in self.said if isinstance(message, ItemJob)]

    def kinds(self) -> list[str]:
        """What it was sent."""
        return [type(message).__name__ for message in self.said if not isinstance(message, Bye)]


Script = Callable[[ScriptedChannel, ItemJob], Awaitable[None]]


@dataclass
class ScriptedLink:
    """A worker, with a greeting for each connection; the last one for all that follow."""

    script: Script
    hellos: tuple[Hello, ...] = (HELLO,)
    name: str = "scripted"
    channels: list[ScriptedChannel] = field(default_factory=list)
    fails: int = 0
    """How many connections are not possible."""
    breaks_at: int = 0
    """The number of the connection, from 1 on, on which no job can be sent."""
    checks: Callable[[ScriptedChannel, CheckJob], None] = lambda *_: None
    is_gone: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    """That of a command which leads to it."""

    async def connect(self) -> ScriptedChannel:
        if self.fails:
            self.fails -= 1
            raise ChannelError("connection refused")
        hello = self.hellos[min(len(self.channels), len(self.hellos) - 1)]
        is_broken = self.breaks_at == len(self.channels) + 1
        self.channels.append(ScriptedChannel(self.script, hello, is_broken, self.checks))
        return self.channels[-1]


@dataclass
class ScriptedCarrier:
    """A carrier with some workers."""

    links: tuple[ScriptedLink, ...]
    problem: str = ""
    may_find_more: bool = False

    async def find_workers(self, join: Callable[[WorkerLink], None]) -> None:
        for link in self.links:
            join(link)


def give_output(job: ItemJob, data: bytes = b"", *changed: str) -> list[FromWorker]:
    """The messages of an honest worker whose agent wrote its output."""
    content = data or f"by {job.assignment.output}\n".encode()
    return [
        JobChanges(job.token, (job.assignment.output, *changed)),
        JobChunk(job.token, content),
        JobResult(job.token, REPLY, len(content)),
    ]


async def work_honestly(channel: ScriptedChannel, job: ItemJob) -> None:
    """Do what an honest worker does."""
    channel.tell(*give_output(job))


def run_with(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, *links: ScriptedLink, **settings: object
) -> tuple[Result, list[Any]]:
    """Run a plan whose executor has these workers."""
    use_links(monkeypatch, *links)
    return run_here(workspace, monkeypatch, **settings)


def interrupt_when(
    running: asyncio.Event, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, link: ScriptedLink
) -> None:
    """Run such a plan, and cancel the run when something has begun."""

    async def interrupt(work: Coroutine[None, None, object]) -> None:
        task = asyncio.ensure_future(work)
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run = asyncio.run
    with monkeypatch.context() as here:
        here.setattr("sessions.asyncio.run", lambda work: run(interrupt(work)))
        run_with(workspace, monkeypatch, link)


def use_links(monkeypatch: pytest.MonkeyPatch, *links: ScriptedLink) -> None:
    """Let the executor of a run have these workers."""

    def open_scripted(tools: CarrierTools) -> ScriptedCarrier:
        assert isinstance(tools.directory, Path)
        for link in links:
            link.environment = tools.environment
        return ScriptedCarrier(links)

    monkeypatch.setattr("gitbatch.batch.executor.remote_workplace.open_carrier", open_scripted)
    monkeypatch.setattr("gitbatch.batch.executor.connecting._FIRST_PAUSE", 0.01)


def name_executor(workspace: Workspace, more: str = "") -> None:
    """Let the configuration name an executor."""
    text = workspace.read("gitbatch.toml")
    workspace.write("gitbatch.toml", f'{text}\n[executor]\nkind = "command"\nworkers = [["true"]]\n{more}')
    workspace.commit("The executor")
