"""Serving one orchestrator: its messages in, events and results out, until it says good-bye or the connection is cut.

When the connection is cut, the jobs that run are finished, and their results wait in the spool. After a good-bye no
process of a job is left.
"""

import asyncio
import os
import resource
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from pathlib import Path

from gitbatch.agents.protocol import Failure
from gitbatch.batch.executor.frames import FrameError, FrameReader
from gitbatch.batch.executor.message_codec import MessageError, decode_to_worker
from gitbatch.batch.executor.messages import (
    ORCHESTRATOR_FRAME,
    Alive,
    Bye,
    CancelJob,
    CheckJob,
    ForgetJobs,
    ItemJob,
    JobRefused,
    JobResult,
    NoSlot,
    PackEnd,
    PackPart,
    SentSecrets,
    ToWorker,
    Welcome,
)
from gitbatch.batch.executor.sent_answers import send_answer
from gitbatch.batch.worker.check_job import run_check
from gitbatch.batch.worker.cut_jobs import finish_jobs, lock_job
from gitbatch.batch.worker.identity import WorkerIdentity
from gitbatch.batch.worker.incoming_packs import IncomingPacks
from gitbatch.batch.worker.item_job import JobRefusedError, JobTools, fail_job, run_job
from gitbatch.batch.worker.message_sender import MessageSender
from gitbatch.batch.worker.shared_slots import SharedSlots
from gitbatch.errors import GitbatchError
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import FREE
from gitbatch.text import CleanText, clean_text

ALIVE_EVERY = 10.0
"""Seconds after which a worker shows that it is there."""
_GRACE = 0.5
"""Seconds that agents have to end after a good-bye, before they are killed."""
_READ = 64 * 1024
_LONGEST = 2_000
"""Characters of a reason."""


_STOPPED = Failure(CleanText("it was asked to stop"), cause=Cause.DISK, usage=FREE)
"""The answer for a job that has not begun: the worker can do none."""


class ServeEnd(Enum):
    """Why a worker has stopped serving an orchestrator."""

    BYE = auto()
    CUT = auto()
    STOPPED = auto()
    """It was asked to stop by a signal."""


OpenTools = Callable[[Welcome, ExitStack], Coroutine[None, None, JobTools]]
"""Opens what jobs need, when it is known for which repository; the stack closes it."""


@dataclass(slots=True)
class OrchestratorService:
    """The connection to one orchestrator. Belongs to one event loop."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    open_tools: OpenTools
    identity: WorkerIdentity
    folder: Path
    """For packs that are not complete."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by a signal: no further job is taken, and those that run are finished."""
    slots: SharedSlots | None = None
    """Those of the worker; None: they are for this orchestrator alone."""
    _tools: "asyncio.Task[JobTools] | None" = None
    _jobs: "dict[str, asyncio.Task[None]]" = field(default_factory=dict)
    _ending: "set[asyncio.Task[None]]" = field(default_factory=set)
    """The jobs that were cancelled. The same may be asked for again before they have ended."""
    _packs: IncomingPacks = field(init=False)
    _changes: "set[asyncio.Task[None]]" = field(default_factory=set)
    """Of the spool."""
    _opened: ExitStack = field(default_factory=ExitStack)
    _sender: MessageSender = field(init=False)
    _secrets: SentSecrets | None = None
    _checks: set[str] = field(default_factory=set)
    """The tokens of all checks."""

    def __post_init__(self) -> None:
        self._sender = MessageSender(self.writer)
        self._packs = IncomingPacks(self.folder, self._wait_for_tools)

    async def serve(self) -> ServeEnd:
        """Serves until the end; then no job of it runs."""
        await self._sender.greet(self.identity.make_hello())
        alive = asyncio.create_task(self._show_alive())
        try:
            ended = await self._read_messages(alive)
            if ended is ServeEnd.BYE:
                await self._end_jobs()
            elif self._jobs:
                for token in (
                    self._checks & self._jobs.keys()
                ):  # a verdict is not kept: another worker is asked
                    self._jobs[token].cancel()
                await finish_jobs(self._tools, self._jobs)
            if ended is ServeEnd.STOPPED:
                await self._sender.send(Bye("it was asked to stop"))
            return ended
        finally:
            alive.cancel()
            self._packs.drop_pack()
            await self._end_jobs()
            if self.slots:
                self.slots.leave(self)
            begun = (task for task in (self._tools, self._packs.stored) if task)
            await asyncio.gather(*begun, *self._changes, return_exceptions=True)
            self._opened.close()

    async def _read_messages(self, alive: "asyncio.Task[None]") -> ServeEnd:
        frames = FrameReader(ORCHESTRATOR_FRAME)
        stopped = asyncio.create_task(self._finish_jobs())
        try:
            while True:
                reading = asyncio.create_task(self.reader.read(_READ))
                await asyncio.wait((reading, stopped, alive), return_when=asyncio.FIRST_COMPLETED)
                if stopped.done():
                    reading.cancel()
                    return ServeEnd.STOPPED
                if alive.done():  # nothing can be sent any more; `kubectl exec` may leave this side open
                    reading.cancel()
                    return ServeEnd.CUT
                data = await reading
                for content in frames.take_bytes(data):
                    message = decode_to_worker(content)
                    if isinstance(message, Bye):
                        return ServeEnd.BYE
                    self._take_message(message)
                if not data:
                    return ServeEnd.CUT
        except (FrameError, MessageError, OSError):
            return ServeEnd.CUT
        finally:
            self._sender.is_cut = not stopped.done()
            stopped.cancel()

    async def _finish_jobs(self) -> None:
        """Waits for the signal that asks to stop, then until no job runs. Meanwhile messages are read: jobs may be cancelled."""
        await self.stopping.wait()
        await self._sender.send(Alive(takes_jobs=False))
        while self._jobs:
            await asyncio.wait(self._jobs.values())

    def _take_message(self, message: ToWorker) -> None:
        match message:
            case Welcome():
                self._tools = self._tools or asyncio.create_task(self._open_tools(message))
            case SentSecrets():
                self._secrets = message
                forbid_core_file()
            case PackPart() | PackEnd():
                self._packs.take_message(message)
            case ItemJob() | CheckJob():
                self._start_job(message)
            case CancelJob():
                self._change_spool(self._end_elsewhere(message.token, self._cancel_job(message.token)))
            case ForgetJobs():
                self._change_spool(self._forget(message.tokens))

    async def _open_tools(self, welcome: Welcome) -> JobTools:
        tools, secrets = await self.open_tools(welcome, self._opened), self._secrets
        return tools.add_secrets(secrets) if secrets else tools

    def _start_job(self, job: ItemJob | CheckJob) -> None:
        if job.token in self._jobs:
            return
        if self.stopping.is_set():  # it was sent before the run knew; another worker may take it at once
            self._sender.send_later(JobResult(job.token, send_answer(_STOPPED)))
            return
        task = asyncio.create_task(self._do_job(job, self._packs.stored))
        self._jobs[job.token] = task
        if isinstance(job, CheckJob):
            self._checks.add(job.token)
        task.add_done_callback(partial(self._note_end, job.token))

    def _note_end(self, token: str, task: "asyncio.Task[None]") -> None:
        """Notes that a job has ended, and reports an internal error, which the orchestrator would wait for."""
        self._ending.discard(task)
        if self._jobs.get(token) is task:
            del self._jobs[token]
        error = None if task.cancelled() else task.exception()
        if error:
            said = clean_text(f"internal error in the worker: {type(error).__name__}: {error}")
            self._sender.send_later(JobResult(token, send_answer(Failure(said))))

    async def _do_job(self, job: ItemJob | CheckJob, stored: "asyncio.Task[None] | None") -> None:
        """Sends the result of a job, or why this machine cannot do any."""
        try:
            tools = await asyncio.shield(self._wait_for_tools())
            if isinstance(job, CheckJob):
                await self._send_verdict(tools, job, stored)
            else:
                await self._send_result(tools, job, stored)
        except JobRefusedError as error:
            await self._sender.send(JobRefused(job.token, str(error)[:_LONGEST]))
        except (OSError, GitbatchError) as error:  # nothing is in the spool: the result is this alone
            await self._sender.send(JobResult(job.token, send_answer(fail_job(error, None))))

    async def _send_result(self, tools: JobTools, job: ItemJob, stored: "asyncio.Task[None] | None") -> None:
        """Sends the result of a job, which runs if the spool does not have it. No lock is held meanwhile: it may take long."""
        unkept: tuple[bytes, ...] | None = ()
        if not tools.spool.path_of(job.token).exists():
            unkept = await self._make_result(tools, job, stored)
        for frame in unkept or ():
            await self._sender.write_frame(frame)
        if unkept == ():
            await self._sender.send_file(tools.spool.path_of(job.token))

    async def _make_result(
        self, tools: JobTools, job: ItemJob, stored: "asyncio.Task[None] | None"
    ) -> tuple[bytes, ...] | None:
        """Returns the frames of a result, none if they are in the spool; None if the job has not begun."""
        lock = await lock_job(tools.spool, job.token)
        try:
            if tools.spool.path_of(job.token).exists():
                return ()
            if self._sender.is_cut:  # it has cost nothing yet, and may be sent to another worker
                return None
            if self.slots and not self.slots.take_slot(self):
                await self._sender.send(NoSlot(job.token, self.slots.count_running(self)))
                return None
            return await self._run_job(tools, job, stored)
        finally:
            os.close(lock)

    async def _send_verdict(
        self, tools: JobTools, job: CheckJob, stored: "asyncio.Task[None] | None"
    ) -> None:
        """Runs a check in a slot, and sends its verdict."""
        if self._sender.is_cut:
            return
        if self.slots and not self.slots.take_slot(self):
            await self._sender.send(NoSlot(job.token, self.slots.count_running(self)))
            return
        try:
            if stored:
                await asyncio.shield(stored)
            done = await run_check(tools, job, self._sender.send_later)
        finally:
            if self.slots:
                self.slots.release_slot(self)
        await self._sender.send(done)

    async def _run_job(
        self, tools: JobTools, job: ItemJob, stored: "asyncio.Task[None] | None"
    ) -> tuple[bytes, ...]:
        """Runs the agent of a job, in a slot; returns as `run_job`."""
        try:
            if stored:
                await asyncio.shield(stored)
            return await run_job(tools, job, self._sender.send_later, self.stopping.is_set)
        finally:
            if self.slots:
                self.slots.release_slot(self)

    def offer_slots(self, slots: int) -> None:
        """Tells the orchestrator how many jobs are taken from it now."""
        self._sender.send_later(Alive(not self.stopping.is_set(), slots))

    async def _wait_for_tools(self) -> JobTools:
        if self._tools is None:
            raise GitbatchError("a job came before the greeting")
        return await asyncio.shield(self._tools)

    def _change_spool(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._changes.add(task)
        task.add_done_callback(self._changes.discard)

    async def _forget(self, tokens: tuple[str, ...]) -> None:
        spool = (await self._wait_for_tools()).spool
        for token in tokens:
            spool.forget(token)

    def _cancel_job(self, token: str) -> "asyncio.Task[None] | None":
        job = self._jobs.pop(token, None)
        if job:
            self._ending.add(job)
            job.cancel()
        return job

    async def _end_elsewhere(self, token: str, job: "asyncio.Task[None] | None") -> None:
        """Ends a job of a connection that was cut, after the one here has ended, unless it was asked for again."""
        if job:
            await asyncio.wait((job,))
        spool = (await self._wait_for_tools()).spool
        if token not in self._jobs:
            spool.ask_to_cancel(token)

    async def _end_jobs(self) -> None:
        """Ends all jobs: agents are asked to end, and soon after that killed."""
        for _ in range(2):
            tasks = (*self._jobs.values(), *self._ending)
            if not tasks:
                return
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_GRACE)
        if tasks := (*self._jobs.values(), *self._ending):
            await asyncio.wait(tasks)

    async def _show_alive(self) -> None:
        while not self._sender.is_cut:
            await asyncio.sleep(ALIVE_EVERY)
            await self._sender.send(Alive())


def forbid_core_file() -> None:
    """Lets a crash of this process write no file of its memory, where keys are: for as long as it runs."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
