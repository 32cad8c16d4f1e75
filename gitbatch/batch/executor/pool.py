"""The workers of a run: connecting to them, giving them jobs, and what is done when one is lost.

A worker that is lost is connected to again, after a pause that doubles. The jobs that ran there end as lost; who asked for
them decides what follows. A worker that breaks the protocol is treated as lost. A worker of another protocol is refused for
good.
"""

import asyncio
import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

from gitbatch import __version__
from gitbatch.batch.executor.carrier import Carrier, ChannelError, WorkerChannel, WorkerLink
from gitbatch.batch.executor.incoming import IncomingJob
from gitbatch.batch.executor.lacking import describe_lack, describe_worker, find_time_left
from gitbatch.batch.executor.member import PoolMember
from gitbatch.batch.executor.messages import (
    CHUNK_BYTES,
    PROTOCOL,
    Alive,
    Bye,
    CancelJob,
    ForgetJobs,
    FromWorker,
    Hello,
    ItemJob,
    PackEnd,
    PackPart,
    ToWorker,
    Welcome,
)
from gitbatch.batch.executor.shipment import HaveSet, open_temporary, plan_shipment, write_pack
from gitbatch.concurrency import GitThread
from gitbatch.repo.repository import Repository
from gitbatch.text import CleanText, clean_text

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0
"""Seconds before a worker that was lost is connected to again."""
_SHORT = 0.5
"""Seconds that a worker whose connection was cut has to end."""
_SETTLE = 3.0
"""Seconds that a run waits for the greetings of all workers: one may have the result of what another would do again."""
_HURRY = 0.4
"""Seconds that the last messages of a run may take."""


class NoWorker(Struct, frozen=True):
    """No worker could be reached for too long, or all were refused."""

    reason: CleanText
    is_lacking: bool = False
    """Whether workers are there, and none has what the agent needs."""


class PoolTools(Struct, frozen=True):
    """What a pool works with."""

    repo: Repository
    git: GitThread
    folder: Path
    """For packs and outputs, which are files without names."""
    welcome: Welcome
    tell: Callable[[str], None]
    no_worker: float
    """Seconds."""


@dataclass(slots=True)
class WorkerPool:
    """The workers of a run. Belongs to one event loop; opened with the first job, closed with the run."""

    carrier: Carrier
    tools: PoolTools
    members: list[PoolMember] = field(default_factory=list)
    _tasks: "list[asyncio.Task[None]]" = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _begun: float = 0.0
    _empty_since: float = 0.0
    _is_told: bool = False

    def start(self) -> None:
        """Begins to connect to workers, unless that has begun."""
        if not self._tasks:
            self._begun = self._empty_since = time.monotonic()
            self._tasks.append(asyncio.create_task(self.carrier.find_workers(self._join)))

    async def take_member(
        self, job: IncomingJob, avoided: Sequence[PoolMember] = ()
    ) -> PoolMember | NoWorker:
        """Waits until a worker has room for a job, and gives it the job; or until none was there for too long.

        A worker that keeps the result of the job is taken, with or without room; one that lacks something for the agent
        never; `avoided`, those that could not begin with it, only if no other is there.
        """
        until = time.monotonic() + self.tools.no_worker
        while True:
            member = self._choose_member(job, avoided)
            if member:
                member.jobs[job.token] = job
                member.given.add(job.token)
                return member
            if missing := self._find_why_none():
                return missing
            left = find_time_left(self.members, job.agent, until)
            if left <= 0 and (said := describe_lack(self.members, job.agent)):
                return NoWorker(said, is_lacking=True)
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._find_patience(left)):
                    await self._changed.wait()

    async def send_job(self, member: PoolMember, incoming: IncomingJob, job: ItemJob) -> bool:
        """Sends a job, and before it the objects that the worker lacks; false: it was lost before it had all.

        Raises:
            GitError: the objects cannot be packed.
        """
        channel = member.channel
        try:
            if channel and job.token not in member.spooled:
                async with member.shipping:
                    await self._send_objects(member, channel, job)
            if channel is None or incoming.ended.done():
                incoming.lose("the connection was closed")
                return False
            await channel.send(job)
        except ChannelError as error:
            incoming.lose(str(error))
            return False
        return True

    def release_job(self, member: PoolMember, token: str) -> None:
        """Notes that a job has ended at a worker."""
        if member.jobs.pop(token, None):
            self._changed.set()

    async def cancel_job(self, member: PoolMember, token: str) -> None:
        """Ends a job at a worker; no result of it is taken any more."""
        self.release_job(member, token)
        await self._send_soon(member, CancelJob(token))

    async def drop_member(self, member: PoolMember, reason: str) -> None:
        """Ends the connection to a worker that does not answer."""
        if member.channel:
            self.tools.tell(f"worker {member.host}: {reason}")
            await member.channel.close(0.0)

    async def forget_results(self, tokens: frozenset[str]) -> None:
        """Lets the workers remove results that git has, or that count no more."""
        sending = []
        for member in self.members:
            if known := tokens & member.spooled:
                member.spooled -= known
                sending.append(self._send_soon(member, ForgetJobs(tuple(sorted(known)))))
        await asyncio.gather(*sending)

    async def close(self, patience: float) -> None:
        """Ends all connections; no agent of this run is left. `patience`: seconds that a worker has to end."""
        open_channels = [(member, member.channel) for member in self.members if member.channel]
        bye = Bye("the run has ended")
        sending = [asyncio.ensure_future(self._send_soon(member, bye)) for member, _ in open_channels]
        await asyncio.sleep(0)  # now it is on the way to each of them, and they may be disconnected
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*sending)
        await asyncio.gather(*(channel.close(patience) for _, channel in open_channels))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self.members.clear()

    def _join(self, link: WorkerLink) -> None:
        member = PoolMember(link, clean_text(link.name))
        self.members.append(member)
        self._tasks.append(asyncio.create_task(self._keep_connected(member)))
        self._changed.set()

    async def _keep_connected(self, member: PoolMember) -> None:
        pause = _FIRST_PAUSE
        while not member.is_refused:
            try:
                channel = await member.link.connect()
                try:
                    if await self._greet(member, channel):
                        await self._read_messages(member, channel)
                except ChannelError as error:
                    self._note_lost(member, clean_text(str(error)))
                finally:
                    self._lose_jobs(member, "the connection was closed")
                    await channel.close(_SHORT)
            except ChannelError as error:
                self._note_lost(member, clean_text(str(error)))
            pause = _FIRST_PAUSE if member.has_worked else pause
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _greet(self, member: PoolMember, channel: WorkerChannel) -> bool:
        """Takes the greeting of a worker, and answers it; false: it is refused."""
        hello, *rest = await channel.receive()
        if not isinstance(hello, Hello) or rest:
            raise ChannelError("it does not greet as a worker does")
        member.host = clean_text(hello.host, 100) or member.host
        if hello.protocol != PROTOCOL:
            member.is_refused = True
            version = clean_text(hello.version, 50)
            member.problem = clean_text(
                f"it has gitbatch {version} (protocol {hello.protocol}), here is {__version__} (protocol {PROTOCOL})"
            )
            self.tools.tell(f"worker {member.host} is refused: {member.problem}")
            self._changed.set()
            return False
        await channel.send(self.tools.welcome)
        member.slots, member.spooled, member.running = (
            hello.slots,
            set(hello.spooled),
            frozenset(hello.running),
        )
        member.have, member.given, member.channel = HaveSet(), set(), channel
        member.problem = member.unfit = CleanText("")
        member.has_worked = False
        member.forget_lacks()
        self._is_told = False
        self.tools.tell(f"worker {member.host}: {describe_worker(hello)}")
        self._changed.set()
        return True

    async def _read_messages(self, member: PoolMember, channel: WorkerChannel) -> None:
        while True:
            for message in await channel.receive():
                self._take_message(member, message)
            if member.unfit and not member.jobs:
                raise ChannelError(member.unfit)

    def _take_message(self, member: PoolMember, message: FromWorker) -> None:
        match message:
            case Alive():
                member.slots = member.slots if message.takes_jobs else 0
                return
            case Hello():
                raise ChannelError("it greets again")
            case Bye():
                raise ChannelError(clean_text(message.reason) or "it has ended")
        if message.token not in member.given:
            raise ChannelError("it answers for something that it was not asked for")
        job = member.jobs.get(message.token)
        if job is None:  # it was cancelled, or had too little time
            return
        job.take_message(message)
        if job.ended.done():
            self._note_end(member, job)

    def _note_end(self, member: PoolMember, job: IncomingJob) -> None:
        """Notes that a worker has ended a job. One that could not begin with it would not with the next one either."""
        if job.refusal:
            if member.note_lack(job.agent, job.refusal):
                self.tools.tell(f"worker {member.host} cannot run agent {job.agent}: {job.refusal}")
        elif job.disk_problem:
            member.unfit = job.disk_problem
        else:
            member.has_worked = True
            member.spooled.add(job.token)
        member.running -= {job.token}
        self.release_job(member, job.token)

    def _note_lost(self, member: PoolMember, reason: CleanText) -> None:
        # A worker that connects each time, and can do nothing, is not there.
        was_there = member.channel is not None and (member.has_worked or not member.unfit)
        if member.channel:
            self.tools.tell(f"worker {member.host} was lost: {reason}")
            member.losses += 1
        elif member.problem != reason:
            self.tools.tell(f"worker {member.host} cannot be reached: {reason}")
        member.problem = reason
        self._lose_jobs(member, reason)
        if was_there and not any(other.channel for other in self.members):
            self._empty_since = time.monotonic()
        self._changed.set()

    def _lose_jobs(self, member: PoolMember, reason: str) -> None:
        member.channel, jobs, member.jobs = None, member.jobs, {}
        for job in jobs.values():
            job.lose(reason)

    def _choose_member(self, job: IncomingJob, avoided: Sequence[PoolMember]) -> PoolMember | None:
        """Returns the worker to give a job to: one that has its result, else one that was lost least, and has most room."""
        there = [member for member in self.members if member.can_run(job.agent)]
        keeping = next((member for member in there if member.has_begun(job.token)), None)
        if keeping or self._settling_time() > 0:
            return keeping
        others = [member for member in there if not any(member is each for each in avoided)]
        able = (member for member in others or there if member.room > 0)
        return min(able, key=lambda member: (member.losses, -member.room), default=None)

    def _find_why_none(self) -> NoWorker | None:
        """Returns why the batch must halt, unless a worker is there or may still come."""
        if any(member.channel for member in self.members):
            return None
        known = bool(self.members) and all(member.is_refused for member in self.members)
        said = "; ".join(f"{member.host}: {member.problem}" for member in self.members if member.problem)
        if known or self._time_left() <= 0:
            return NoWorker(clean_text(f"no worker is there ({said})" if said else "no worker is there"))
        if said and not self._is_told:
            self._is_told = True
            self.tools.tell(f"waiting for a worker, for up to {self.tools.no_worker:g} seconds ({said})")
        return None

    def _settling_time(self) -> float:
        """Returns the seconds for which workers may still be waited for that have neither greeted nor failed since the start."""
        if self.members and all(member.channel or member.problem for member in self.members):
            return 0.0
        return self._begun + _SETTLE - time.monotonic()

    def _find_patience(self, left: float) -> float | None:
        """Returns the seconds after which something changes though no worker says anything; None: nothing does."""
        settling = self._settling_time()
        if settling <= 0 and any(member.channel for member in self.members):
            return left + 0.01 if 0 < left < math.inf else None
        return (settling if settling > 0 else max(0.0, self._time_left())) + 0.01

    def _time_left(self) -> float:
        return self._empty_since + self.tools.no_worker - time.monotonic()

    async def _send_objects(self, member: PoolMember, channel: WorkerChannel, job: ItemJob) -> None:
        tools = self.tools
        lacking = await tools.git(plan_shipment, tools.repo.objects, job.setup, member.have)
        oids = lacking.oids
        if not oids:
            return
        with open_temporary(tools.folder) as descriptor:
            size = await tools.git(write_pack, tools.repo, oids, descriptor)
            for start in range(0, size, CHUNK_BYTES):
                part = os.pread(descriptor, CHUNK_BYTES, start)
                await channel.send(PackPart(part, is_first=start == 0))
        await channel.send(PackEnd())
        member.have.note_shipment(lacking)

    async def _send_soon(self, member: PoolMember, message: ToWorker) -> None:
        """Sends a message that may be lost: to a worker that is gone, or does not read."""
        if member.channel:
            with suppress(TimeoutError, ChannelError):
                async with asyncio.timeout(_HURRY):
                    await member.channel.send(message)
