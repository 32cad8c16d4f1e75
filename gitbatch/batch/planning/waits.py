"""Which items of a group wait for which: by `after`, and by `sequential` of an item, of the group or of the plan. Pure.

Who waits for an item waits for all that it waits for. An item that has ended does not hold the others up, however it ended (rule E1).
"""

from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from heapq import heappop, heappush
from itertools import compress
from operator import or_

from msgspec import Struct, field

from gitbatch.plan.model import Group, Hints, ItemReference, Plan, WorkItem

_BITS = bytes.maketrans(b"01", b"\0\1")


class Waits(Struct, frozen=True):
    """The items of one group, each with those that it waits for."""

    items: tuple[WorkItem, ...]
    direct: Mapping[ItemReference, tuple[WorkItem, ...]]
    """For each item those that have to end first, without those that these wait for in turn."""
    _masks: dict[ItemReference, int] = field(default_factory=dict)
    """For each item all that it waits for: a bit for each item, the lowest for the first one. In a row of thousands of items,
    sets of them would take gigabytes."""

    def find_all(self, item: WorkItem, among: int = -1) -> tuple[WorkItem, ...]:
        """Returns all items of the group that an item waits for, in the order of the plan.

        Args:
            item: the item.
            among: what `mark_items` returned for the only items that are wanted.
        """
        digits = f"{self._mask_of(item) & among:b}"[::-1].encode().translate(_BITS)
        return tuple(compress(self.items, digits))

    def has_any(self, item: WorkItem, among: int = -1) -> bool:
        """Returns whether `find_all` finds any."""
        return bool(self._mask_of(item) & among)

    def mark_items(self, is_wanted: Callable[[WorkItem], bool]) -> int:
        """Returns a number that stands for some items of the group."""
        digits = "".join("1" if is_wanted(item) else "0" for item in reversed(self.items))
        return int(digits or "0", 2)

    def _mask_of(self, item: WorkItem) -> int:
        if not self._masks:
            self._masks.update(_mask_items(self.items, self.direct))
        return self._masks[item.reference]


def _mask_items(
    items: tuple[WorkItem, ...], direct: Mapping[ItemReference, tuple[WorkItem, ...]]
) -> dict[ItemReference, int]:
    """Returns for each item the bits of all that it waits for. One pass, and a last one; more for a plan with a circle."""
    place = {item.reference: 1 << number for number, item in enumerate(items)}
    before = {reference: tuple(other.reference for other in direct[reference]) for reference in direct}
    masks, has_changed = dict.fromkeys(place, 0), True
    while has_changed:
        has_changed = False
        for reference, others in before.items():
            mask = reduce(or_, (masks[other] | place[other] for other in others), 0)
            has_changed |= mask != masks[reference]
            masks[reference] = mask
    return masks


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
