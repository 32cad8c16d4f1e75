"""The workers of a run: giving them jobs, and ending them.

The jobs of a worker that is lost end as lost; who asked for them decides what follows. `pool_members.py` chooses the worker,
`connecting.py` keeps the connections.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

from gitbatch.batch.executor.carrier import Carrier, ChannelError, WorkerLink
from gitbatch.batch.executor.connecting import keep_connected
from gitbatch.batch.executor.incoming_job import IncomingJob
from gitbatch.batch.executor.lacking_workers import describe_lack, find_time_left
from gitbatch.batch.executor.messages import (
    Bye,
    CancelJob,
    CheckJob,
    ForgetJobs,
    ItemJob,
    SentSecrets,
    ToWorker,
    Welcome,
)
from gitbatch.batch.executor.object_sender import ObjectSender
from gitbatch.batch.executor.pool_member import PoolMember
from gitbatch.batch.executor.pool_members import NoWorker, PoolMembers
from gitbatch.concurrency import GitThread
from gitbatch.repo.repository import Repository

_HURRY = 0.4
"""Seconds that the last messages of a run may take."""


class PoolTools(Struct, frozen=True):
    """What a pool works with."""

    repo: Repository
    git: GitThread
    folder: Path
    """For packs and outputs, which are files without names."""
    welcome: Welcome
    secrets: SentSecrets | None = None
    """The keys of the agents; None: they are the workers' own."""

    @property
    def greeting(self) -> tuple[SentSecrets | Welcome, ...]:
        """The messages that answer a worker's greeting."""
        return (self.secrets, self.welcome) if self.secrets else (self.welcome,)


@dataclass(slots=True)
class WorkerPool:
    """The workers of a run. Belongs to one event loop; opened with the first job, closed with the run."""

    carrier: Carrier
    tools: PoolTools
    members: PoolMembers
    _tasks: "list[asyncio.Task[None]]" = field(default_factory=list)
    _sender: ObjectSender | None = None

    def start(self) -> None:
        """Begins to connect to workers, unless that has begun."""
        if not self._tasks:
            self.members.begin_waiting(self.carrier)
            self._tasks.append(asyncio.create_task(self.carrier.find_workers(self._join)))

    async def take_member(
        self,
        job: IncomingJob,
        avoided: Sequence[PoolMember] = (),
        *,
        is_early: bool = False,
        note_wait: Callable[[], None] = lambda: None,
    ) -> PoolMember | NoWorker:
        """Waits until a worker has room for a job, and gives it the job; or until none was there for too long.

        A worker that keeps the result of the job is taken, with or without room; one that lacks something for the agent
        never; `avoided`, those that could not begin with it, only if no other is there. Early ones take what others leave.
        `note_wait` is called if it has to wait.
        """
        members = self.members
        members.recorded.discard(job.token)
        members.asked.add(job.token)
        members.waiting += not is_early
        try:
            chosen = members.choose_member(job, avoided, is_early=is_early)
            if chosen is None:
                note_wait()
            found = chosen or await self._wait_for_member(job, avoided, is_early=is_early)
        finally:
            members.waiting -= not is_early
            if not members.waiting:  # early ones may take what is left
                members.changed.set()
        if isinstance(found, PoolMember):
            found.jobs[job.token] = job
            found.given.add(job.token)
        return found

    async def _wait_for_member(
        self, job: IncomingJob, avoided: Sequence[PoolMember], *, is_early: bool
    ) -> PoolMember | NoWorker:
        members, until = self.members, time.monotonic() + self.members.no_worker
        while True:
            if member := members.choose_member(job, avoided, is_early=is_early):
                return member
            if missing := members.find_why_none():
                return missing
            left = find_time_left(members.all, job.purpose, until)
            if left <= 0 and (said := describe_lack(members.all, job.purpose)):
                return NoWorker(said, is_lacking=True)
            members.changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(members.find_patience(job.token, left)):
                    await members.changed.wait()

    async def wait_for_return(self, job: IncomingJob) -> bool:
        """Waits a moment for the worker that a job was lost with; returns whether one is there that has its result, or works on it."""
        members = self.members
        while not members.find_keeping(job):
            if (left := members.find_return_time(job.token)) <= 0:
                return False
            members.changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await members.changed.wait()
        return True

    async def send_job(self, member: PoolMember, incoming: IncomingJob, job: ItemJob | CheckJob) -> None:
        """Sends a job, and before it the objects that the worker lacks. It may be lost before it is sent.

        Raises:
            GitError: the objects cannot be packed.
        """
        channel = member.channel
        try:
            if channel and job.token not in member.spooled:
                async with member.shipping:
                    for setup in job.setups:
                        await self._open_sender().send_objects(channel, setup, member.have)
            if channel is None or incoming.ended.done():
                incoming.lose("the connection was closed")
                return
            incoming.is_sent = True
            await channel.send(job)
        except ChannelError as error:
            incoming.lose(str(error))

    def release_job(self, member: PoolMember, token: str) -> None:
        """Notes that a job has ended at a worker."""
        if member.jobs.pop(token, None):
            self.members.note_room(member)

    async def cancel_job(self, member: PoolMember, token: str) -> None:
        """Ends a job at a worker; no result of it is taken any more."""
        self.release_job(member, token)
        await self._send_soon(member, CancelJob(token))

    async def give_up_job(self, member: PoolMember, token: str) -> None:
        """Ends a job that takes too long at a worker. Its other jobs may end; further ones go to other workers first."""
        self.members.tell(f"worker {member.host}: it does not answer in time")
        member.losses += 1
        await self.cancel_job(member, token)

    async def forget_results(self, tokens: frozenset[str]) -> None:
        """Lets the workers remove results that git has, or that count no more: one that is lost, when it comes back."""
        kept = self.members.take_recorded(tokens)
        sending = (self._send_soon(member, ForgetJobs(tuple(known))) for member, known in kept.items())
        await asyncio.gather(*sending)

    async def close(self, patience: float) -> None:
        """Ends all connections; no agent of this run is left. `patience`: seconds that a worker has to end."""
        open_channels = [(member, member.channel) for member in self.members.all if member.channel]
        sending = [asyncio.ensure_future(self._say_good_bye(member)) for member, _ in open_channels]
        await asyncio.sleep(0)  # now it is on the way to each of them, and they may be disconnected
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*sending)
        await asyncio.gather(*(channel.close(patience) for _, channel in open_channels))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self.members.all.clear()

    async def _say_good_bye(self, member: PoolMember) -> None:
        """Ends what a worker works on for this run, also what it does since a connection that was cut."""
        for token in sorted(member.running & self.members.asked):
            await self._send_soon(member, CancelJob(token))
        await self._send_soon(member, Bye("the run has ended"))

    def _join(self, link: WorkerLink) -> None:
        member = self.members.add_member(link)
        self._tasks.append(asyncio.create_task(keep_connected(self.members, member, self.tools.greeting)))

    def _open_sender(self) -> ObjectSender:
        if self._sender is None:
            self._sender = ObjectSender(self.tools.repo, self.tools.git, self.tools.folder)
        return self._sender

    async def _send_soon(self, member: PoolMember, message: ToWorker) -> None:
        """Sends a message that may be lost: to a worker that is gone, or does not read."""
        if member.channel:
            with suppress(TimeoutError, ChannelError):
                async with asyncio.timeout(_HURRY):
                    await member.channel.send(message)
