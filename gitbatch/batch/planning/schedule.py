"""The order of items (rules P3, P4, F5): how many run at once, what each waits for, and the hints that apply to each.

Pure: the loop follows this order, and `gitbatch plan` shows it.
"""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from heapq import heappop, heappush

from msgspec import Struct

from gitbatch.batch.planning.waits import Waits, find_waits
from gitbatch.plan.model import Group, Hints, ItemReference, Plan, WorkItem


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
    """Returns the open items of a group in the steps in which they run, if each takes the same time.

    Linear in the items and in what they wait for, but for a logarithm: each is looked at when the last that it waits for ends.
    """
    most, waits = count_at_once(group, plan, jobs), find_waits(group, plan)
    place = {item.reference: at for at, item in enumerate(group.items)}
    left = {reference: len(before) for reference, before in waits.direct.items()}
    behind: dict[ItemReference, list[WorkItem]] = {}
    for reference, before in waits.direct.items():
        for other in before:
            behind.setdefault(other.reference, []).append(group.items[place[reference]])
    ready: list[int] = []

    def release(items: Iterable[WorkItem]) -> None:
        """Notes those that wait for nothing more as ready; a ticked one ends at once."""
        to_do = list(items)
        while to_do:
            item = to_do.pop()
            if item.done:
                to_do += _count_down(behind.get(item.reference, ()), left)
            else:
                heappush(ready, place[item.reference])

    release(item for item in group.items if not left[item.reference])
    found: list[tuple[WorkItem, ...]] = []
    while ready:  # items that wait in a circle never are; the plan has an error for them
        step = tuple(group.items[heappop(ready)] for _ in range(min(most, len(ready))))
        found.append(step)
        for item in step:
            release(_count_down(behind.get(item.reference, ()), left))
    return tuple(found)


def _count_down(items: Iterable[WorkItem], left: dict[ItemReference, int]) -> list[WorkItem]:
    """Counts one less that each of some items waits for, and returns those that wait for nothing more."""
    free = []
    for item in items:
        left[item.reference] -= 1
        if not left[item.reference]:
            free.append(item)
    return free


def find_critical_path(plan: Plan, steps: Iterable[tuple[tuple[WorkItem, ...], ...]]) -> tuple[WorkItem, ...]:
    """Returns the longest chain of open items in which each waits for the one before.

    Args:
        plan: the plan.
        steps: those of each of its groups, as `plan_steps` returns them.
    """
    path: list[WorkItem] = []
    for group, found in zip(plan.groups, steps, strict=True):
        path += _find_chain(find_waits(group, plan), found)
    return tuple(path)


def _find_chain(waits: Waits, found: tuple[tuple[WorkItem, ...], ...]) -> list[WorkItem]:
    """Returns one item for each step, from the last back: one that the next item waits for, else the step's first."""
    chain: list[WorkItem] = []
    left = frozenset(item.reference for step in found for item in step)
    for step in reversed(found):
        waited = find_items_before(waits, chain[-1], left) if chain else frozenset[ItemReference]()
        chain.append(next((item for item in step if item.reference in waited), step[0]))
    return chain[::-1]


def find_items_before(
    waits: Waits, item: WorkItem, left: AbstractSet[ItemReference]
) -> frozenset[ItemReference]:
    """Returns the items that an item waits for itself, or by way of items that do not run.

    What these wait for in turn ran in an earlier step than they.

    Args:
        waits: those of the item's group.
        item: the item.
        left: the items that run.
    """
    found: set[ItemReference] = set()
    to_do, seen = [item.reference], set[ItemReference]()
    while to_do:
        for other in waits.direct[to_do.pop()]:
            if other.reference in left:
                found.add(other.reference)
            elif other.reference not in seen:
                seen.add(other.reference)
                to_do.append(other.reference)
    return frozenset(found)
