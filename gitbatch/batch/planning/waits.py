"""Which items of a group wait for which: by `after`, and by `sequential` of an item, of the group or of the plan. Pure.

Who waits for an item waits for all that it waits for. An item that has ended does not hold the others up, however it ended (rule E1).
"""

from collections.abc import Iterator, Mapping

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
    waits = _in_a_row(group.items) if is_sequential(group, plan) else _around_single(group.items)
    direct = {}
    for item, before in zip(group.items, waits, strict=True):
        after = (named[reference] for reference in item.hints.after if reference in named)
        direct[item.reference] = tuple(dict.fromkeys((*before, *after)))
    return Waits(group.items, direct)


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
