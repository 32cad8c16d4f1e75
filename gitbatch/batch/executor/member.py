"""What a run knows of one of its workers, connected or not. The decisions are in `pool.py`."""

import asyncio
from dataclasses import dataclass, field

from gitbatch.batch.executor.carrier import WorkerChannel, WorkerLink
from gitbatch.batch.executor.incoming import IncomingJob
from gitbatch.batch.executor.shipment import HaveSet
from gitbatch.text import CleanText

_LIAR = 10
"""How often a worker may be lost before it is no longer believed that its machine has changed meanwhile."""


@dataclass(slots=True)
class PoolMember:
    """A worker, connected or not."""

    link: WorkerLink
    host: CleanText
    channel: WorkerChannel | None = None
    slots: int = 0
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
    """By agent: what its machine lacks for it."""
    has_worked: bool = False
    """Whether a result has come on this connection."""
    losses: int = 0
    shipping: asyncio.Lock = field(default_factory=asyncio.Lock)

    def can_run(self, agent: str) -> bool:
        """Whether it is there, and lacks nothing for an agent as far as is known."""
        return bool(self.channel) and not self.unfit and agent not in self.lacks

    def has_begun(self, token: str) -> bool:
        """Whether it keeps the result of a job, or still works on it since an earlier connection."""
        return token in self.spooled or token in self.running

    def note_lack(self, agent: str, reason: CleanText) -> bool:
        """Notes what its machine lacks for an agent; returns whether that is new."""
        is_new = agent not in self.lacks
        self.lacks[agent] = reason
        return is_new

    def forget_lacks(self) -> None:
        """Notes that it has connected: what was missing may be there now."""
        if self.losses < _LIAR:
            self.lacks.clear()

    @property
    def room(self) -> int:
        """The jobs that it could take."""
        return self.slots - len(self.jobs) if self.channel and not self.unfit else 0
