"""Running the items of a group at the same time (rules P3, E1), up to the number of jobs."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as field_of
from typing import TYPE_CHECKING

from msgspec import Struct

from gitbatch.batch.events import ItemFinished
from gitbatch.batch.group.base import BaseBuilder
from gitbatch.batch.group.kept_costs import keep_costs
from gitbatch.batch.group.scheduled_items import (
    GroupStart,
    ItemDefaults,
    WaitingItem,
    schedule_items,
    schedule_waiting,
)
from gitbatch.batch.history.bases import BaseReader
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.item.retries import run_item
from gitbatch.batch.item.run import Run
from gitbatch.batch.item.scheduled import ScheduledItem
from gitbatch.batch.model import BatchItem, Outcome
from gitbatch.batch.planning.schedule import count_at_once
from gitbatch.batch.planning.waits import Waits, find_waits
from gitbatch.concurrency import find_first_error
from gitbatch.plan.matching import PlannedItem
from gitbatch.plan.model import ItemKey, ItemReference

if TYPE_CHECKING:  # most runs start no item before its group
    from gitbatch.batch.group.early_pool import EagerTurn, EarlyPool


async def run_group(
    run: Run, start: GroupStart, pool: "EarlyPool | None", progress: BatchProgress
) -> tuple[Outcome, ...] | None:
    """Returns the outcomes of a group's items, in plan order; None if the batch halts before all of them have one.

    Args:
        run: the tools.
        start: the group.
        pool: runs items of later groups meanwhile; None: none starts before its group.
        progress: of the batch, as the group begins.
    """
    secrets = run.agents.find_secrets(start.project_state.project.config)
    defaults = ItemDefaults(run.batch.record, run.agents.sandbox, secrets, counts_by_reading=pool is not None)
    keep_costs(run, start)
    turn = await pool.open_turn(start, defaults, progress) if pool else None
    group = _RunningGroup(run, start, defaults, _find_awaited(start), turn)
    later = start.already.keys() | group.awaited.waiting
    at_once = tuple(item for item in start.items if item.key not in later)
    group.scheduled.update(await run.git(schedule_items, run.repo, start, defaults, at_once))
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(group.get_outcome(item)) for item in start.items]
    except ExceptionGroup as several:
        raise find_first_error(several) from several
    outcomes = tuple(outcome for task in running if (outcome := task.result()))
    return outcomes if len(outcomes) == len(start.items) else None


@dataclass(slots=True, eq=False, repr=False)
class _RunningGroup:
    """The items of a group while they run."""

    run: Run
    start: GroupStart
    defaults: ItemDefaults
    awaited: "_AwaitedItems"
    turn: "EagerTurn | None"
    """Gives the slots, if items of later groups may have some of them."""
    scheduled: dict[ItemKey, ScheduledItem | Outcome] = field_of(default_factory=dict)
    outcomes: dict[ItemKey, Outcome] = field_of(default_factory=dict)
    ended: dict[ItemKey, asyncio.Event] = field_of(init=False)
    slots: asyncio.Semaphore = field_of(init=False)
    builder: BaseBuilder = field_of(init=False)

    def __post_init__(self) -> None:
        run, group = self.run, self.start.group
        self.ended = {item.key: asyncio.Event() for item in group.items}
        self.slots = asyncio.Semaphore(_count_slots(run, self.start))
        objects, line = run.repo.objects, self.start.project_state.commit
        self.builder = BaseBuilder(objects, run.commit_context(), group, line, BaseReader(objects))

    async def get_outcome(self, item: BatchItem) -> Outcome | None:
        """Returns the outcome of an item; None if the batch halts before it has one."""
        try:
            outcome = await self._run_to_end(item)
            if outcome:
                self.outcomes[item.key] = outcome
            if self.turn:
                self.turn.note_end(item.key, outcome)
            return outcome
        finally:
            self.run.agents.budget.end_keeping(item.key)
            self.ended[item.key].set()

    async def _run_to_end(self, item: BatchItem) -> Outcome | None:
        if item.key in self.start.already:
            return self.start.already[item.key]
        if self.turn and (early := await self.turn.take_early(item)):
            return early
        scheduled = self.scheduled.get(item.key) or await self._schedule_in_turn(item)
        if isinstance(scheduled, Outcome):
            self.run.emit(ItemFinished(batch=self.run.batch.id, outcome=scheduled))
            return scheduled
        if self.turn and scheduled:
            await self.turn.slots[item.key].wait()
            return await run_item(self.run, scheduled)
        async with self.slots:
            return await run_item(self.run, scheduled) if scheduled else None

    async def _schedule_in_turn(self, item: BatchItem) -> ScheduledItem | Outcome | None:
        """Schedules an item when those that it waits for have ended; None if the batch halted before they did."""
        keys = self.awaited.find_keys(item.key)
        for key in keys:
            await self.ended[key].wait()
        if not all(key in self.outcomes for key in keys):
            return None
        waiting = WaitingItem(item, tuple(self.outcomes[key] for key in keys))
        run = self.run
        return await run.git(schedule_waiting, run.repo, self.start, self.defaults, self.builder, waiting)


class _AwaitedItems(Struct, frozen=True):
    """The items of the batch that each item of a group waits for. In a row each waits for all before it: none is listed twice."""

    planned: Mapping[ItemKey, PlannedItem]
    waits: Mapping[int, Waits]
    """By the numbers of the plan's groups."""
    keys: Mapping[ItemReference, ItemKey]
    """Of the items of the batch, by what the plan calls them."""
    members: Mapping[int, int]
    """These items, by the numbers of the groups, as `Waits` marks them."""
    waiting: frozenset[ItemKey]
    """Those that wait for another one."""

    def find_keys(self, key: ItemKey) -> tuple[ItemKey, ...]:
        """Returns those that an item waits for, in the order of the plan."""
        group, item = self.planned[key]
        found = self.waits[group.number].find_all(item, self.members[group.number])
        return tuple(self.keys[other.reference] for other in found)


def _find_awaited(start: GroupStart) -> _AwaitedItems:
    """Returns who waits for whom among the items of a group that run."""
    members = {item.key for item in start.items}
    there = {key: start.planned[key] for key in members if key in start.planned}
    keys = {item.reference: key for key, (_, item) in there.items()}
    waits = start.facts.waits
    for group, _ in there.values():
        if group.number not in waits:
            waits[group.number] = find_waits(group, start.project_state.plan)
    marked = {
        number: found.mark_items(lambda item: item.reference in keys) for number, found in waits.items()
    }
    waiting = (
        key for key, (group, item) in there.items() if waits[group.number].has_any(item, marked[group.number])
    )
    return _AwaitedItems(there, waits, keys, marked, frozenset(waiting))


def _count_slots(run: Run, start: GroupStart) -> int:
    """Returns how many items of the group may run at the same time (rule F5)."""
    found = next((start.planned[item.key] for item in start.group.items if item.key in start.planned), None)
    return count_at_once(found[0], start.project_state.plan, run.jobs) if found else run.jobs
