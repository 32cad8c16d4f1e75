"""The worker with most room is found among any number of them."""

import random
from typing import TYPE_CHECKING, cast

from batch.executor.scripted_workers import ScriptedLink, work_honestly

from gitbatch.batch.executor.free_slots import FreeSlots
from gitbatch.batch.executor.pool_member import PoolMember
from gitbatch.text import CleanText

if TYPE_CHECKING:
    from gitbatch.batch.executor.carrier import WorkerChannel
    from gitbatch.batch.executor.incoming_job import IncomingJob

CHANNEL, JOB = cast("WorkerChannel", "there"), cast("IncomingJob", "a job")


def make_members(count: int) -> list[PoolMember]:
    return [
        PoolMember(ScriptedLink(work_honestly), CleanText(""), number, CHANNEL, slots=3)
        for number in range(count)
    ]


def test_choice_is_that_of_looking_at_each() -> None:
    """Whatever happens to workers, in any order: jobs, losses, greetings, full disks, what an agent lacks."""
    drawn = random.Random(1)  # noqa: S311 - the same each time
    for _ in range(20):
        members = make_members(6)
        free = FreeSlots()
        for member in members:
            free.note_room(member)
        for token in range(60):
            member = drawn.choice(members)
            match drawn.randrange(6):
                case 0 | 1:  # it takes a job: nothing has to be noted
                    member.jobs[str(token)] = JOB
                case 2 if member.jobs:
                    member.jobs.popitem()
                    free.note_room(member)
                case 3:
                    member.channel, member.losses = None, member.losses + 1
                case 4:
                    member.channel, member.unfit, member.slots = CHANNEL, CleanText(""), drawn.randrange(4)
                    free.note_room(member)
                case _:
                    member.unfit = CleanText("full")
            able = [each for each in members if each.room > 0 and each.number != token % 6]
            best = min(able, key=lambda each: (each.losses, -each.room, each.number), default=None)
            assert free.find_best(lambda each, token=token: each.number != token % 6) is best  # type: ignore[misc]


def test_entries_do_not_pile_up() -> None:
    members = make_members(3)
    free = FreeSlots()
    for token in range(2000):
        for member in members:
            member.jobs = {str(token): JOB} if token % 2 else {}
            free.note_room(member)
    assert len(free._heap) < 100
    free.remove_member(members[0])
    assert free.find_best(lambda _: True) is members[1]
