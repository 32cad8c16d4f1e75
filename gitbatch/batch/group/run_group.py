"""Running the items of a group at the same time (rules P3, E1), as many as may run at once."""

import asyncio
from collections.abc import Mapping

from msgspec.structs import replace

from gitbatch.batch.events import ItemFinished
from gitbatch.batch.item.retries import run_item
from gitbatch.batch.item.run import ItemTask, Run
from gitbatch.batch.model import BatchGroup, BatchItem, FailedAttempt, ItemStatus, Outcome
from gitbatch.batch.planning.project_state import ProjectState, find_place_problem
from gitbatch.batch.planning.schedule import count_at_once, find_predecessors, settings_of
from gitbatch.batch.planning.selection import find_missing_context
from gitbatch.repo.attributes import FilteredPathError, require_no_filter
from gitbatch.text import clean_text


async def run_group(
    run: Run,
    project_state: ProjectState,
    group: BatchGroup,
    already: Mapping[str, Outcome],
    missing: frozenset[str],
) -> tuple[Outcome, ...] | None:
    """The outcomes of a group's items, in plan order; None if the batch halts before all of them have one.

    Args:
        run: the tools.
        project_state: the target branch's tip, which is the base of every item that starts now.
        group: which group; what is ticked in the plan by now does not run.
        already: outcomes, by key, of items that an earlier start of the batch has finished.
        missing: outputs of items of earlier groups that did not succeed.
    """
    items = pending_items(project_state, group, already)
    gate = asyncio.Semaphore(_width(run, project_state, group))
    over = {item.key: asyncio.Event() for item in group.items}

    def tasks_of() -> dict[str, ItemTask | Outcome]:
        return {i.key: _task(run, project_state, group, i, missing) for i in items if i.key not in already}

    async def outcome_of(batch_item: BatchItem) -> Outcome | None:
        try:
            if batch_item.key in already:
                done = already[batch_item.key]
                return replace(done, earlier=_earlier(run, batch_item))
            task = todo[batch_item.key]
            if isinstance(task, Outcome):
                run.emit(ItemFinished(batch=run.batch.id, outcome=task))
                return task
            for key in find_predecessors(task.item, task.group):
                if key in over:
                    await over[key].wait()
            async with gate:
                return await run_item(run, task)
        finally:
            over[batch_item.key].set()

    todo = await run.git(tasks_of)
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(outcome_of(item)) for item in items]
    except ExceptionGroup as several:
        raise _first(several) from several
    outcomes = tuple(outcome for task in running if (outcome := task.result()))
    return outcomes if len(outcomes) == len(items) else None


def pending_items(
    project_state: ProjectState, group: BatchGroup, already: Mapping[str, Outcome]
) -> tuple[BatchItem, ...]:
    """The items of a group without those that somebody has ticked since: by hand, or by rewording a checkpoint."""
    found = {item.key: project_state.find_item(item.key) for item in group.items}
    ticked = {key for key, place in found.items() if place and place[1].done}
    return tuple(item for item in group.items if item.key in already or item.key not in ticked)


def _earlier(run: Run, item: BatchItem) -> tuple[FailedAttempt, ...]:
    """The failed attempts at an item that an earlier start of the batch has finished."""
    return tuple(tried for tried in run.ledger.entries.of_item(item.key) if tried.is_counted)


def _first(several: ExceptionGroup[Exception]) -> Exception:
    """What stopped the group first; the others were stopped with it."""
    error = several.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


def _width(run: Run, project_state: ProjectState, group: BatchGroup) -> int:
    """How many items of the group may run at the same time (rule F5)."""
    found = next(filter(None, (project_state.find_item(item.key) for item in group.items)), None)
    return count_at_once(found[0], project_state.plan, run.jobs) if found else run.jobs


def _task(
    run: Run, project_state: ProjectState, group: BatchGroup, batch_item: BatchItem, missing: frozenset[str]
) -> ItemTask | Outcome:
    """What is to run for an item; an outcome if it can't start."""
    found = project_state.find_item(batch_item.key)
    if found is None:
        return Outcome(
            batch_item,
            ItemStatus.CANCELLED,
            reason=clean_text(f"it is no longer in {project_state.plan.path}"),
        )
    plan_group, item = found
    reads = find_missing_context(item, project_state, missing)
    if reads:
        return Outcome(
            batch_item, ItemStatus.BLOCKED, reason=clean_text(f"it reads {reads}, which was not written")
        )
    problem = find_place_problem(project_state, item.output)
    if problem:
        return Outcome(
            batch_item, ItemStatus.CONFLICTED, reason=clean_text(f"it can't be written: {problem}")
        )
    try:
        require_no_filter(run.repo, project_state.tree, item.output)
    except FilteredPathError as error:
        return Outcome(
            batch_item, ItemStatus.FAILED, reason=clean_text(f"the output can't be taken: {error}")
        )
    said = settings_of(item, plan_group, project_state.plan)
    agent = said.agent or run.batch.record.agent
    if agent not in project_state.project.config.agents:
        return Outcome(
            batch_item,
            ItemStatus.FAILED,
            reason=clean_text(f"there is no agent {agent} in gitbatch.toml any more"),
        )
    retries = project_state.project.config.batch.retries if said.retries is None else said.retries
    return ItemTask(project_state, group, batch_item, plan_group, item, agent, said.timeout, retries)
