"""The workers of a run: which of them a job is given to, and for how long it waits for one.

A result that a worker keeps, or still works on, is never made again elsewhere while that worker can be reached. So a job waits for
the greetings of all workers at the start, and for a moment for the worker that it was lost with.
"""

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from msgspec import Struct

from gitbatch.batch.executor.carrier import Carrier, WorkerLink
from gitbatch.batch.executor.free_slots import FreeSlots
from gitbatch.batch.executor.incoming_job import IncomingJob
from gitbatch.batch.executor.pool_member import ENOUGH_FAILURES, PoolMember
from gitbatch.batch.executor.result_tokens import OldResults
from gitbatch.text import CleanText, clean_text, format_count

_GREETINGS = 3.0
"""Seconds that a run waits, after it knows the first worker, for the greetings of all: one may have the result of what another
would do again. A scheduler that was started again knows each only when that has joined it."""
_RETURN = 3.0
"""Seconds that a job waits for the worker that it was lost with: it may have the result, or still work on it."""


class NoWorker(Struct, frozen=True):
    """No worker could be reached for too long, or all were refused."""

    reason: CleanText
    is_lacking: bool = False
    """Whether workers are there, and none has what the agent needs."""


@dataclass(slots=True)
class PoolMembers:
    """The workers of a run. Belongs to one event loop."""

    tell: Callable[[str], None]
    no_worker: float
    """Seconds."""
    all: list[PoolMember] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a worker came, was lost, or has room."""
    recorded: set[str] = field(default_factory=set)
    """The tokens of results that count no more: a worker that comes back may still keep them."""
    old: OldResults = field(default_factory=OldResults)
    """Those that counted no more when the run began."""
    expected: set[str] = field(default_factory=set)
    """The names of workers that may have results of a run that was killed, until each has greeted."""
    _keeping: dict[str, tuple[PoolMember] | set[PoolMember]] = field(default_factory=dict)
    """By token: the workers that keep a result, or work on it since an earlier connection; some do not any more."""
    _free: FreeSlots = field(default_factory=FreeSlots)
    _numbers: Iterator[int] = field(default_factory=count)
    _have_greeted: bool = False
    """Whether all that are known, or expected, have greeted or failed."""
    waiting: int = 0
    """The jobs that wait for a worker, without those of items that start before their group."""
    asked: set[str] = field(default_factory=set)
    """The tokens of all jobs of this run."""
    _awaited: dict[str, tuple[PoolMember, float]] = field(default_factory=dict)
    """By token: the worker that the job was lost with, and until when it is waited for."""
    _carrier: Carrier | None = None
    _begun: float = 0.0
    _empty_since: float = 0.0
    _is_empty: bool = True
    """Whether no worker is there that has a slot for any run, or an item of this one."""
    _is_told: bool = False
    _is_told_taken: bool = False
    """Whether was said, once for the run, that it waits for slots that other runs have."""

    def begin_waiting(self, carrier: Carrier) -> None:
        """Notes the start, from which on a carrier finds workers, and they are waited for."""
        self._carrier = carrier
        self._begun = self._empty_since = time.monotonic()

    def add_member(self, link: WorkerLink) -> PoolMember:
        """Adds a worker, which is not connected yet."""
        member = PoolMember(link, clean_text(link.name), next(self._numbers))
        self._begun = time.monotonic() if member.number == 0 else self._begun
        self.all.append(member)
        self._have_greeted = False
        self.changed.set()
        return member

    def remove_member(self, member: PoolMember) -> None:
        """Removes a worker that is gone for good."""
        self._stop_awaiting(member)
        self._free.remove_member(member)
        self.all[:] = [other for other in self.all if other is not member]
        self.changed.set()

    def note_greeting(self, member: PoolMember) -> frozenset[str]:
        """Notes that a worker has greeted; returns the results that it keeps and may remove.

        A job that is given to another worker meanwhile, and whose result this one has, ends there.
        """
        self._is_told = False
        self.expected.discard(member.host)
        self._stop_awaiting(member)
        for other in self.all if member.spooled else ():
            for token in other.jobs.keys() & member.spooled:
                other.jobs[token].lose(f"worker {member.host} has its result", is_elsewhere=True)
        known = frozenset(filter(self.is_over, member.spooled))
        member.spooled -= known
        alone = (member,)  # one value for all tokens: there may be very many
        for token in (*member.spooled, *member.running):
            self._note_keeping(token, alone)
        self.note_room(member)
        return known

    def is_over(self, token: str) -> bool:
        """Whether a result counts no more."""
        return token in self.recorded or (token not in self.asked and self.old.has_token(token))

    def note_room(self, member: PoolMember) -> None:
        """Notes that a worker may take more jobs than before, or has ended one."""
        self._free.note_room(member)
        self.note_slots()
        self.changed.set()

    def note_slots(self) -> None:
        """Notes since when no worker has a slot for any run, or an item of this one: that is as if none were connected."""
        is_empty = not self._has_any()
        if is_empty and not self._is_empty:
            self._empty_since = time.monotonic()
            self.changed.set()
        self._is_empty = is_empty

    def _has_any(self) -> bool:
        return any(member.is_there for member in self.all)

    def take_recorded(self, tokens: frozenset[str]) -> dict[PoolMember, list[str]]:
        """Notes that results count no more; returns which of them the workers keep, and may remove."""
        self.recorded |= tokens
        kept: dict[PoolMember, list[str]] = {}
        for token in sorted(tokens):
            for member in self._keeping.pop(token, ()):
                if token in member.spooled:
                    member.spooled.discard(token)
                    kept.setdefault(member, []).append(token)
        return kept

    def note_end(self, member: PoolMember, job: IncomingJob) -> None:
        """Notes that a worker has ended a job, or cannot begin with it as its machine lacks something for the agent."""
        if job.refusal and member.note_lack(job.purpose, job.refusal):
            self.tell(f"worker {member.host} cannot run {job.purpose}: {job.refusal}")
        if job.token in member.spooled:
            self._note_keeping(job.token, (member,))

    def note_lost(self, member: PoolMember, reason: CleanText) -> None:
        """Notes that a worker was lost, or cannot be reached."""
        # A worker that connects each time, and can do nothing, is not there.
        was_there = member.is_there and (member.has_worked or not member.unfit)
        if member.channel:
            self.tell(f"worker {member.host} {'has left' if member.has_left else 'was lost'}: {reason}")
            member.losses += 1
        else:
            member.failures += 1
            if member.failures >= ENOUGH_FAILURES:
                self._stop_awaiting(member)
            if member.problem != reason:
                self.tell(f"worker {member.host} cannot be reached: {reason}")
        member.problem = reason
        self.lose_jobs(member, reason)
        self._is_empty = not self._has_any()
        if was_there and self._is_empty:
            self._empty_since = time.monotonic()
        self.changed.set()

    def lose_jobs(self, member: PoolMember, reason: str) -> None:
        """Ends the connection to a worker, and all its jobs; who asked for them waits a moment for it to come back."""
        until = time.monotonic() + _RETURN
        for token in member.lose_jobs(reason):
            self._awaited[token] = (member, until)
        self._forget_kept(member)

    def choose_member(
        self, job: IncomingJob, avoided: Sequence[PoolMember] = (), *, is_early: bool = False
    ) -> PoolMember | None:
        """Returns the worker to give a job to: one that has its result, else one that was lost least, and has most room."""
        kept = self.find_keeping(job)
        if kept or self._waiting_time(job.token) > 0 or (is_early and self.waiting):
            return kept
        if avoided:
            others = [member for member in self.all if member.can_run(job.purpose) and member not in avoided]
            if others:
                return self._free.find_best(
                    lambda member: member.can_run(job.purpose) and member not in avoided
                )
        return self._free.find_best(lambda member: member.can_run(job.purpose))

    def find_keeping(self, job: IncomingJob) -> PoolMember | None:
        """Returns a worker that keeps the result of a job, or works on it since an earlier connection."""
        keeping = (
            member
            for member in self._keeping.get(job.token, ())
            if member.can_run(job.purpose) and member.has_begun(job.token)
        )
        return min(keeping, key=lambda member: member.number, default=None)

    def find_return_time(self, token: str) -> float:
        """Returns the seconds for which a job may still wait for the worker that it was lost with."""
        return self._awaited.get(token, (None, 0.0))[1] - time.monotonic()

    def find_why_none(self) -> NoWorker | None:
        """Returns why the batch must halt, unless a worker is there or may still come.

        Slots that other runs have are waited for without an end: agents take long, and each of them ends.
        """
        if self._has_any():
            self._tell_taken()
            return None
        are_refused = bool(self.all) and all(member.is_refused for member in self.all)
        said = self._describe_missing()
        may_come = self._carrier is not None and self._carrier.may_find_more
        if (are_refused and not may_come) or self._time_left() <= 0:
            return NoWorker(clean_text(f"no worker is there ({said})" if said else "no worker is there"))
        if said and not self._is_told:
            self._is_told = True
            self.tell(f"waiting for a worker, for up to {self.no_worker:g} seconds ({said})")
        return None

    def _tell_taken(self) -> None:
        """Says that the run waits as other runs have all slots. It is not said again: that comes and goes with each item."""
        if self._is_told_taken or any(member.is_there and not member.is_taken for member in self.all):
            return
        self._is_told_taken = True
        taken = [member for member in self.all if member.is_taken]
        slots = format_count(sum(member.all_slots for member in taken), "slot")
        workers = format_count(len(taken), "worker")
        self.tell(f"waiting for a slot: other runs have them all ({slots} of {workers})")

    def _describe_missing(self) -> str:
        """Returns why each worker is missing; one that has not answered yet is among them after a while."""
        has_waited = min(self._greeting_time(), self._time_left()) <= 0
        reasons = (
            f"{member.host}: {member.missing_reason}"
            for member in self.all
            if member.problem or member.channel or has_waited
        )
        return "; ".join(filter(None, (self._carrier.problem if self._carrier else "", *reasons)))

    def find_patience(self, token: str, left: float) -> float | None:
        """Returns the seconds after which something changes though no worker says anything; None: nothing does.

        Args:
            token: the job's.
            left: the seconds for which a worker may come that has what its agent needs.
        """
        waiting = self._waiting_time(token)
        if waiting <= 0 and self._has_any():
            return left + 0.01 if 0 < left < math.inf else None
        return (waiting if waiting > 0 else max(0.0, self._time_left())) + 0.01

    def _note_keeping(self, token: str, alone: tuple[PoolMember]) -> None:
        """Notes one more worker that keeps a result."""
        known = self._keeping.setdefault(token, alone)
        if isinstance(known, set):
            known.update(alone)
        elif known != alone:
            self._keeping[token] = {*known, *alone}

    def _forget_kept(self, member: PoolMember) -> None:
        """Forgets what a worker has named: the next time it says it again, or something else."""
        for token in (*member.spooled, *member.running):
            keeping = self._keeping.get(token, ())
            if isinstance(keeping, set):
                keeping.discard(member)
            if not keeping or keeping == (member,):
                self._keeping.pop(token, None)
        member.spooled, member.running = set(), frozenset()

    def _stop_awaiting(self, member: PoolMember) -> None:
        for token in [token for token, (each, _) in self._awaited.items() if each is member]:
            del self._awaited[token]

    def _waiting_time(self, token: str) -> float:
        """Returns the seconds for which a job may still wait for a worker that may have its result."""
        return max(self._greeting_time(), self.find_return_time(token))

    def _greeting_time(self) -> float:
        """Returns the seconds for which workers may still be waited for that have neither greeted nor failed since the start."""
        if not self._have_greeted:
            may_come = bool(self.expected) and self._carrier is not None and self._carrier.may_find_more
            have_greeted = bool(self.all) and not any(member.is_awaited for member in self.all)
            self._have_greeted = have_greeted and not may_come
        return 0.0 if self._have_greeted else self._begun + _GREETINGS - time.monotonic()

    def _time_left(self) -> float:
        return self._empty_since + self.no_worker - time.monotonic()
