"""Which items of a group wait for which: by `after`, and by `sequential` of an item, of the group or of the plan. Pure.

Who waits for an item waits for all that it waits for. An item that has ended does not hold the others up, however it ended (rule E1).
"""

from collections.abc import Iterator, Mapping
from heapq import heappop, heappush

from msgspec import Struct

from gitbatch.plan.model import Group, Hints, ItemReference, Plan, WorkItem


class Waits(Struct, frozen=True):
    """The items of one group, each with those that it waits for."""

    items: tuple[WorkItem, ...]
    direct: Mapping[ItemReference, tuple[WorkItem, ...]]
    """For each item those that have to end first, without those that these wait for in turn."""

    def find_all(self, item: WorkItem) -> tuple[WorkItem, ...]:
        """Returns all items of the group that an item waits for, in the order of the plan."""
        found: dict[ItemReference, WorkItem] = {}
        to_do = [item.reference]
        while to_do:
            for other in self.direct[to_do.pop()]:
                if other.reference not in found:
                    found[other.reference] = other
                    to_do.append(other.reference)
        return tuple(sorted(found.values(), key=lambda other: other.box.offset))


def find_waits(group: Group, plan: Plan) -> Waits:
    """Returns who waits for whom in a group."""
    named = {item.reference: item for item in group.items}
    after = {
        item.reference: tuple(named[other] for other in item.hints.after if other in named)
        for item in group.items
    }
    ordered = _order_items(group.items, after)
    waits = _in_a_row(ordered) if is_sequential(group, plan) else _around_single(ordered)
    direct = {
        item.reference: tuple(dict.fromkeys((*before, *after[item.reference])))
        for item, before in zip(ordered, waits, strict=True)
    }
    return Waits(group.items, direct)


def _order_items(
    items: tuple[WorkItem, ...], after: Mapping[ItemReference, tuple[WorkItem, ...]]
) -> tuple[WorkItem, ...]:
    """Returns the items in the order of the plan, but each behind those that it names with `after`."""
    place = {item.reference: index for index, item in enumerate(items)}
    behind: dict[ItemReference, list[WorkItem]] = {}
    for item in items:
        for other in after[item.reference]:
            behind.setdefault(other.reference, []).append(item)
    left = {item.reference: len(after[item.reference]) for item in items}
    free = [place[reference] for reference, count in left.items() if not count]
    ordered: dict[ItemReference, WorkItem] = {}
    while free:
        item = items[heappop(free)]
        ordered[item.reference] = item
        for other in behind.get(item.reference, ()):
            left[other.reference] -= 1
            if not left[other.reference]:
                heappush(free, place[other.reference])
    rest = (item for item in items if item.reference not in ordered)  # in a circle: an error of the plan
    return (*ordered.values(), *rest)


def is_sequential(group: Group, plan: Plan) -> bool:
    """Whether the items of a group run one after the other: the innermost hint about it decides."""
    return next((hints.sequential for hints in (group.hints, plan.hints) if _says_how_many(hints)), False)


def _says_how_many(hints: Hints) -> bool:
    return hints.sequential or hints.parallel or hints.max is not None


def _in_a_row(items: tuple[WorkItem, ...]) -> Iterator[tuple[WorkItem, ...]]:
    """Yields for each item the one before it."""
    for index in range(len(items)):
        yield items[max(0, index - 1) : index]


def _around_single(items: tuple[WorkItem, ...]) -> Iterator[tuple[WorkItem, ...]]:
    """Yields for each item those that it waits for because one of them runs alone: after all before, before all behind it."""
    single = 0
    for index, item in enumerate(items):
        before = items[single:index] if item.hints.sequential else items[single : single + 1]
        yield before if item.hints.sequential or (index and items[single].hints.sequential) else ()
        if item.hints.sequential:
            single = index
