"""The slots of a worker that several runs share."""

import asyncio
from dataclasses import dataclass, field

from waiting import run_skipping

from gitbatch.batch.worker.shared_slots import SharedSlots


@dataclass(eq=False)
class EagerRun:
    """A run that always has more jobs than there are slots: it sends one whenever it believes that it may."""

    slots: SharedSlots
    believed: int
    running: int = 0
    refused: int = 0
    done: int = 0

    def offer_slots(self, slots: int) -> None:
        self.believed = slots
        self.send_all()

    def send_all(self) -> None:
        while self.running < self.believed:
            if self.slots.take_slot(self):
                self.running += 1
            else:
                self.refused += 1
                self.believed = min(self.believed, self.slots.count_running(self))

    def end_job(self) -> None:
        """One of its jobs ends, and it sends the next one."""
        self.running -= 1
        self.done += 1
        self.slots.release_slot(self)
        self.send_all()


@dataclass
class Worker:
    """A worker whose jobs end one after the other, the longest first."""

    count: int
    slots: SharedSlots = field(init=False)

    def __post_init__(self) -> None:
        self.slots = SharedSlots(self.count)

    def connect(self) -> EagerRun:
        run = EagerRun(self.slots, self.count)
        run.send_all()
        return run

    def work(self, *runs: EagerRun, rounds: int) -> None:
        for _ in range(rounds):
            for run in runs:
                if run.running:
                    run.end_job()


def test_runs_share_what_all_of_them_want() -> None:
    async def scene() -> None:
        for count in (1, 2, 4, 5):
            worker = Worker(count)
            one = worker.connect()
            assert (one.running, one.refused) == (count, 0)
            other = worker.connect()
            assert other.running == 0
            worker.work(one, other, rounds=40)
            assert one.running + other.running == count
            assert abs(one.running - other.running) <= 1
            assert 0.6 < other.done / one.done < 1.7, (count, one, other)
            assert one.refused + other.refused <= one.done + other.done + 2

    run_skipping(scene())


def test_slots_of_a_run_that_has_ended_are_those_of_the_others() -> None:
    async def scene() -> None:
        worker = Worker(4)
        one, other = worker.connect(), worker.connect()
        worker.work(one, other, rounds=10)
        assert (one.running, other.running) == (2, 2)
        for _ in range(other.running):
            other.believed = 0
            other.end_job()
        worker.slots.leave(other)
        await asyncio.sleep(5)
        assert one.running == 4
        before = one.refused
        worker.work(one, rounds=20)
        assert one.refused == before

    run_skipping(scene())


def test_offer_that_is_not_taken_goes_to_another_run() -> None:
    async def scene() -> None:
        worker = Worker(1)
        one, idle, third = worker.connect(), worker.connect(), worker.connect()
        idle.believed = -1
        idle.offer_slots = lambda _: None  # type: ignore[assignment, method-assign]
        one.believed = 0
        one.end_job()
        assert (one.running, idle.running, third.running) == (0, 0, 0)
        await asyncio.sleep(3)
        assert (one.running, idle.running, third.running) == (0, 0, 1)

    run_skipping(scene())


def test_jobs_of_a_cut_connection_keep_their_slots() -> None:
    async def scene() -> None:
        worker = Worker(2)
        cut = worker.connect()
        cut.believed = 0
        other = worker.connect()
        assert (cut.running, other.running, other.refused) == (2, 0, 1)
        cut.end_job()
        assert other.running == 1
        cut.end_job()
        worker.slots.leave(cut)
        await asyncio.sleep(1)
        assert other.running == 2

    run_skipping(scene())
