"""Running the items of a group at the same time (rules P3, E1), up to the number of jobs."""

import asyncio

from msgspec.structs import replace

from gitbatch.batch.events import ItemFinished
from gitbatch.batch.group.scheduled_items import GroupStart, ItemDefaults, schedule_items
from gitbatch.batch.item.retries import run_item
from gitbatch.batch.item.run import Run
from gitbatch.batch.item.scheduled import ScheduledItem
from gitbatch.batch.model import BatchItem, FailedAttempt, Outcome
from gitbatch.batch.planning.schedule import count_at_once, find_predecessors


async def run_group(run: Run, start: GroupStart) -> tuple[Outcome, ...] | None:
    """Returns the outcomes of a group's items, in plan order; None if the batch halts before all of them have one."""
    items = start.items
    slots = asyncio.Semaphore(_count_slots(run, start))
    keys = {item.reference: key for key, (_, item) in start.planned.items()}
    done_events = {item.key: asyncio.Event() for item in start.group.items}

    async def get_outcome(batch_item: BatchItem) -> Outcome | None:
        try:
            if batch_item.key in start.already:
                done = start.already[batch_item.key]
                return replace(done, earlier=_earlier_attempts(run, batch_item))
            scheduled = todo[batch_item.key]
            if not isinstance(scheduled, ScheduledItem):
                run.emit(ItemFinished(batch=run.batch.id, outcome=scheduled))
                return scheduled
            for item in find_predecessors(scheduled.item, scheduled.group):
                if item.reference in keys:
                    await done_events[keys[item.reference]].wait()
            async with slots:
                return await run_item(run, scheduled)
        finally:
            done_events[batch_item.key].set()

    secrets = run.agents.find_secrets(start.project_state.project.config)
    defaults = ItemDefaults(run.batch.record, run.agents.sandbox, secrets)
    todo = await run.git(schedule_items, run.repo, start, defaults)
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(get_outcome(item)) for item in items]
    except ExceptionGroup as several:
        raise _first_error(several) from several
    outcomes = tuple(outcome for task in running if (outcome := task.result()))
    return outcomes if len(outcomes) == len(items) else None


def _earlier_attempts(run: Run, item: BatchItem) -> tuple[FailedAttempt, ...]:
    """Returns the failed attempts at an item that an earlier start of the batch has finished."""
    return tuple(tried for tried in run.ledger.entries.of_item(item.key) if tried.is_counted)


def _first_error(several: ExceptionGroup[Exception]) -> Exception:
    """Returns the error that stopped the group first; the others followed from it."""
    error = several.exceptions[0]
    return _first_error(error) if isinstance(error, ExceptionGroup) else error


def _count_slots(run: Run, start: GroupStart) -> int:
    """Returns how many items of the group may run at the same time (rule F5)."""
    found = next((start.planned[item.key] for item in start.group.items if item.key in start.planned), None)
    return count_at_once(found[0], start.project_state.plan, run.jobs) if found else run.jobs
