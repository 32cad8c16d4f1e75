"""One of the workers of a run as the run knows it, connected or not, and how the worker's messages change that."""

import asyncio
from dataclasses import dataclass, field

from gitbatch.batch.executor.carrier import ChannelError, WorkerChannel, WorkerLink
from gitbatch.batch.executor.incoming_job import IncomingJob
from gitbatch.batch.executor.messages import Alive, Bye, FromWorker, Hello
from gitbatch.batch.executor.shipment import HaveSet
from gitbatch.text import CleanText, clean_text

_LIAR = 10
"""How often a worker may be lost before it is no longer believed that its machine has changed meanwhile."""
ENOUGH_FAILURES = 2
"""How often a worker that may have a result cannot be connected to before its items go elsewhere."""
_MOST_WITHOUT_SLOT = 1000
"""The most jobs in a row for which a worker has no slot."""


@dataclass(slots=True, eq=False)
class PoolMember:
    """A worker, connected or not."""

    link: WorkerLink
    host: CleanText
    """Its name in this run. No two workers have the same."""
    number: int = 0
    """Its own in this run, in the order in which they became known."""
    channel: WorkerChannel | None = None
    slots: int = 0
    """The jobs that it takes from this run at a time now."""
    all_slots: int = 0
    """Those of all runs together; 0: it was asked to stop."""
    have: HaveSet = field(default_factory=HaveSet)
    spooled: set[str] = field(default_factory=set)
    running: frozenset[str] = frozenset()
    """What it works on since an earlier connection."""
    jobs: dict[str, IncomingJob] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    """The tokens of all jobs of this connection."""
    problem: CleanText = CleanText("")
    """Why it is not connected."""
    is_refused: bool = False
    unfit: CleanText = CleanText("")
    """Why it gets no further job on this connection, which ends with the last one: its disk is full, for example."""
    lacks: dict[str, CleanText] = field(default_factory=dict)
    """By purpose: what its machine lacks for it."""
    has_worked: bool = False
    """Whether a result has come on this connection."""
    has_left: bool = False
    """Whether it has said good-bye: it was asked to stop."""
    losses: int = 0
    failures: int = 0
    """How often it could not be connected to since it was there last."""
    without_slot: int = 0
    """The jobs in a row for which it had no slot."""
    shipping: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def is_awaited(self) -> bool:
        """Whether it has not greeted yet, and may do so: it is not given up at the first failure, which may be a moment's."""
        is_known = self.channel or self.losses or self.is_refused
        return not is_known and self.failures < ENOUGH_FAILURES

    @property
    def is_there(self) -> bool:
        """Whether it is connected, and works for this run or may do so, also when other runs have all of its slots now."""
        return bool(self.channel) and (self.all_slots > 0 or bool(self.jobs))

    @property
    def is_taken(self) -> bool:
        """Whether other runs have all of its slots."""
        return bool(self.channel) and self.all_slots > 0 and not (self.slots or self.jobs)

    @property
    def missing_reason(self) -> str:
        """Why it does nothing for this run."""
        return self.problem or ("it was asked to stop" if self.channel else "it has not answered yet")

    def can_run(self, purpose: str) -> bool:
        """Whether it is there, and lacks nothing for a purpose as far as is known."""
        return bool(self.channel) and not self.unfit and purpose not in self.lacks

    def has_begun(self, token: str) -> bool:
        """Whether it keeps the result of a job, or still works on it since an earlier connection."""
        return token in self.spooled or token in self.running

    def note_lack(self, purpose: str, reason: CleanText) -> bool:
        """Notes what its machine lacks for a purpose; returns whether that is new."""
        is_new = purpose not in self.lacks
        self.lacks[purpose] = reason
        return is_new

    def forget_lacks(self) -> None:
        """Notes that it has connected: what was missing may be there now."""
        if self.losses < _LIAR:
            self.lacks.clear()

    @property
    def room(self) -> int:
        """The jobs that it could take."""
        return self.slots - len(self.jobs) if self.channel and not self.unfit else 0

    @property
    def unended(self) -> list[IncomingJob]:
        """The jobs of which no end has come. One that has ended keeps its slot until its usage is charged."""
        return [job for job in self.jobs.values() if not job.ended.done()]

    def begin_connection(self, channel: WorkerChannel, hello: Hello) -> None:
        """Notes a new connection, on which the worker has greeted: what was sent before does not count any more."""
        self.slots = self.all_slots = hello.slots
        self.spooled, self.running = set(hello.spooled), frozenset(hello.running)
        self.have, self.given, self.channel = HaveSet(), set(), channel
        self.problem = self.unfit = CleanText("")
        self.has_worked = self.has_left = False
        self.failures = 0
        self.forget_lacks()

    def take_message(self, message: FromWorker) -> IncomingJob | None:
        """Takes a message; returns the job that has ended with it.

        Raises:
            ChannelError: no honest worker sends this, or it was the last message.
        """
        match message:
            case Alive():
                self._set_slots(message)
                return None
            case Hello():
                raise ChannelError("it greets again")
            case Bye():
                self.has_left = True
                raise ChannelError(clean_text(message.reason) or "it has ended")
        if message.token not in self.given:
            raise ChannelError("it answers for something that it was not asked for")
        job = self.jobs.get(message.token)
        if job is None:  # it was cancelled, or had too little time
            return None
        job.take_message(message)
        if not job.ended.done():
            return None
        self._note_end(job)
        return job

    def _set_slots(self, message: Alive) -> None:
        if not message.takes_jobs:
            self.slots = self.all_slots = 0
        elif message.slots is not None:
            self.slots, self.all_slots = message.slots, max(message.slots, self.all_slots)

    def _note_end(self, job: IncomingJob) -> None:
        """Notes that it has ended a job. One that could not begin with it would not with the next one either."""
        if job.is_over_limit:  # it works on until it is cancelled
            return
        if job.found_no_slot:
            self._note_no_slot(job.slots_left)
        elif job.disk_problem:
            self.unfit = job.disk_problem
        elif not job.refusal:
            self.has_worked, self.without_slot = True, 0
            if not job.is_check:
                self.spooled.add(job.token)
        self.running -= {job.token}
        if job.found_no_slot or job.refusal or job.disk_problem:  # it does not have the result that it named
            self.spooled.discard(job.token)

    def _note_no_slot(self, slots: int) -> None:
        """Notes that its slots are taken by another run too, and how many jobs it takes now."""
        self.without_slot += 1
        if self.without_slot > _MOST_WITHOUT_SLOT:
            raise ChannelError("it refuses everything")
        self.slots = min(self.slots, slots)

    def lose_jobs(self, reason: str) -> tuple[str, ...]:
        """Ends the connection, and with it all jobs; returns the tokens of those that the worker may still work on."""
        lost = self.unended
        self.channel, self.jobs = None, {}
        for job in lost:
            job.lose(reason)
        return tuple(job.token for job in lost if job.is_sent and not job.is_check)
