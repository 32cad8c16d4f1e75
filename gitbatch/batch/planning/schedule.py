"""The order of items (rules P3, P4, F5): how many run at once, what each waits for, and the hints that apply to each.

Pure: the loop follows this order, and `gitbatch plan` shows it.
"""

from msgspec import Struct

from gitbatch.batch.planning.waits import Waits, find_waits
from gitbatch.plan.model import Group, Hints, Plan, WorkItem


class ItemSettings(Struct, frozen=True):
    """The settings of an item: from its own hints, else its group's, else the plan's. None if no hint sets them."""

    agent: str | None
    timeout: float | None
    """Seconds."""
    retries: int | None


def settings_of(item: WorkItem, group: Group, plan: Plan) -> ItemSettings:
    """Returns the settings that the hints give an item."""
    said = (item.hints, group.hints, plan.hints)
    return ItemSettings(
        agent=next((hints.agent for hints in said if hints.agent is not None), None),
        timeout=next((hints.timeout for hints in said if hints.timeout is not None), None),
        retries=next((hints.retries for hints in said if hints.retries is not None), None),
    )


def count_at_once(group: Group, plan: Plan, jobs: int) -> int:
    """Returns the number of items of a group that may run at the same time."""
    limits = (_hinted_limit(hints, jobs) for hints in (group.hints, plan.hints))
    return min(jobs, next((limit for limit in limits if limit is not None), jobs))


def _hinted_limit(hints: Hints, jobs: int) -> int | None:
    if hints.sequential:
        return 1
    return jobs if hints.parallel and hints.max is None else hints.max


def find_earlier_versions(item: WorkItem, plan: Plan) -> tuple[WorkItem, ...]:
    """Returns the items of earlier groups that write the same file: the item revises what they have written."""
    before = plan.groups[: item.group - 1]
    return tuple(other for group in before for other in group.items if other.output == item.output)


def plan_steps(group: Group, plan: Plan, jobs: int) -> tuple[tuple[WorkItem, ...], ...]:
    """Returns the open items of a group in the steps in which they run, if each takes the same time."""
    waiting = [item for item in group.items if not item.done]
    found: list[tuple[WorkItem, ...]] = []
    most, waits = count_at_once(group, plan, jobs), find_waits(group, plan)
    awaited = {item.reference: [o.reference for o in waits.find_all(item)] for item in waiting}
    while waiting:
        left = {item.reference for item in waiting}
        ready = [item for item in waiting if left.isdisjoint(awaited[item.reference])]
        step = tuple(ready[:most])
        if not step:  # a cycle; the plan has an error for it
            break
        found.append(step)
        waiting = [item for item in waiting if item not in step]
    return tuple(found)


def find_critical_path(plan: Plan, jobs: int) -> tuple[WorkItem, ...]:
    """Returns the longest chain of open items in which each waits for the one before."""
    path: list[WorkItem] = []
    for group in plan.groups:
        path += _find_chain(find_waits(group, plan), plan_steps(group, plan, jobs))
    return tuple(path)


def _find_chain(waits: Waits, found: tuple[tuple[WorkItem, ...], ...]) -> list[WorkItem]:
    """Returns one item for each step, from the last back: one that the next item waits for, else the step's first."""
    chain: list[WorkItem] = []
    for step in reversed(found):
        waited = waits.find_all(chain[0]) if chain else ()
        chain.insert(0, next((item for item in step if item in waited), step[0]))
    return chain
