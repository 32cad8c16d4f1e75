"""Finding the items that make a gate red, with few runs of the gate. Pure: what runs a gate is a parameter.

An item is searched for by halving: the first red prefix of the items, in an order in which no item comes before one that
it stands on, so that every prefix can be built. At four items the search ends, and each is tested alone: two guilty items
of four cost more by halving. The answers on prefixes only guide the search. An item is named only if the gate is red
twice on that item alone (with what it stands on), and the base is still green afterwards; so neither a flaky gate nor a
machine on which everything fails by now puts the blame on an innocent item.

A gate may also be red because something is missing: a page links to another page of its group. An item can be red alone for
that, and green with the others. So when several items have been found, they are put back one by one: one with which the
rest stays green is innocent.

An item that is red only together with others is named with them. Only the last of them is guilty: it came in on top of
the others, and these can be recorded without it.
"""

from collections.abc import Iterable, Mapping
from typing import Protocol

from msgspec import Struct

from gitbatch.plan.model import ItemKey

_ALONE = 4
"""The number of items from which each is tested alone; also that of items that are put back in vain."""
_HALVINGS = 2
"""The number of searches by halving. If more items are guilty, all that are left are tested alone."""


class Guilty(Struct, frozen=True):
    """An item that makes a gate red."""

    item: ItemKey
    partners: tuple[ItemKey, ...] = ()
    """The items without which it is green; empty if it is red alone."""


class GuiltSearch(Struct, frozen=True):
    """The end of a search."""

    guilty: tuple[Guilty, ...]
    is_resolved: bool
    """Whether the gate is green without the guilty items; if not, its results contradict each other."""


class GateTrials(Protocol):
    """Runs a gate on sets of items. Each set has with an item also those that it stands on."""

    async def is_red(self, items: frozenset[ItemKey], *, twice: bool = False) -> bool:
        """Whether a gate is red on the base with the outputs of some items; `twice`: a red result is run once more."""

    async def is_rest_red(self, guilty: tuple[Guilty, ...]) -> bool:
        """Whether a gate is red on what would be recorded without some items and without those that stand on them."""

    async def is_base_red(self, found: tuple[Guilty, ...]) -> bool:
        """Whether a gate is red on the base, by a run after those that were red on some items."""


async def find_guilty(
    items: Iterable[ItemKey], below: Mapping[ItemKey, frozenset[ItemKey]], trials: GateTrials
) -> GuiltSearch:
    """Returns the items that make a gate red, which is red on all of them together and green on the base.

    Args:
        items: the items, in the order of the plan.
        below: the items that each one stands on, directly or not; items that stand on none may be left out.
        trials: runs the gate. It must not run a gate again on a set of which it knows the result.
    """
    left = sort_by_base(items, below)
    guilty: tuple[Guilty, ...] = ()
    start = rounds = 0
    while True:
        rounds += 1
        width = _ALONE if rounds <= _HALVINGS else len(left)
        found, start = await _Round(left, below, trials, width).find_some(start)
        if not found or await trials.is_base_red(found):
            return GuiltSearch(guilty, is_resolved=False)
        guilty = (*guilty, *found)
        if not {one.item for one in found}.isdisjoint(left[:start]):
            start = 0  # an item of the green prefix was named: what is left of it has not been run
        left = _remove_with_dependants(left, below, found)
        if not await trials.is_rest_red(guilty):
            return GuiltSearch(await _put_back(guilty, trials), is_resolved=True)


async def _put_back(guilty: tuple[Guilty, ...], trials: GateTrials) -> tuple[Guilty, ...]:
    """Returns the guilty items without those with which the rest is green; gives up after some that are all guilty."""
    reds, to_do = 0, list(guilty)
    while to_do and len(guilty) > 1 and reds < _ALONE:
        one = to_do.pop(0)
        others = tuple(other for other in guilty if other != one)
        if await trials.is_rest_red(others):
            reds += 1
        else:  # with it, another one may be green too
            guilty, reds, to_do = others, 0, list(others)
    return guilty


def sort_by_base(
    items: Iterable[ItemKey], below: Mapping[ItemKey, frozenset[ItemKey]]
) -> tuple[ItemKey, ...]:
    """Returns items in the order of the plan, but none before an item that it stands on."""
    listed = tuple(items)
    position = {item: number for number, item in enumerate(listed)}
    ordered: dict[ItemKey, None] = {}
    for item in listed:
        under = sorted(below.get(item, frozenset()), key=lambda one: (len(below.get(one, ())), position[one]))
        ordered.update(dict.fromkeys((*under, item)))
    return tuple(ordered)


def _remove_with_dependants(
    left: tuple[ItemKey, ...], below: Mapping[ItemKey, frozenset[ItemKey]], found: tuple[Guilty, ...]
) -> tuple[ItemKey, ...]:
    gone = {guilty.item for guilty in found}
    return tuple(item for item in left if item not in gone and not below.get(item, frozenset()) & gone)


class _Round(Struct, frozen=True):
    """One search among the items that are left. The gate is red on all of them."""

    left: tuple[ItemKey, ...]
    below: Mapping[ItemKey, frozenset[ItemKey]]
    trials: GateTrials
    width: int
    """The number of items from which each is tested alone."""

    async def find_some(self, start: int) -> tuple[tuple[Guilty, ...], int]:
        """Returns guilty items, and the length of a prefix that is green; no item if the results contradict each other.

        Args:
            start: the length of a prefix that is known to be green.
        """
        while start < len(self.left):
            start, end = await self._halve(start, len(self.left), self.width)
            if alone := await self._test_alone(self.left[start:end]):
                return alone, start
            start, end = await self._halve(start, end, 1)
            if together := await self._find_partners(end):
                return (together,), start
            start = end  # it was red by chance
        return (), start

    async def _halve(self, green: int, red: int, width: int) -> tuple[int, int]:
        """Returns the lengths of a green and of a red prefix that differ by at most `width` items."""
        while red - green > width:
            middle = (green + red) // 2
            if await self.trials.is_red(frozenset(self.left[:middle])):
                red = middle
            else:
                green = middle
        return green, red

    async def _test_alone(self, items: tuple[ItemKey, ...]) -> tuple[Guilty, ...]:
        """Returns the items that are red alone, and do not stand on another one that is."""
        found: dict[ItemKey, Guilty] = {}
        for item in items:
            closed = self._close(item)
            if not closed & found.keys() and await self.trials.is_red(closed, twice=True):
                found[item] = Guilty(item)
        return tuple(found.values())

    async def _find_partners(self, end: int) -> Guilty | None:
        """Returns the last item of a red prefix, with those that make it red; None if the prefix is not red again."""
        if not await self.trials.is_red(frozenset(self.left[:end]), twice=True):
            return None
        item = self.left[end - 1]
        core, partners = self._close(item), list[ItemKey]()
        others = [other for other in self.left[: end - 1] if other not in core]
        while not await self.trials.is_red(core, twice=True):
            if not others:
                return None
            needed = await self._count_needed(core, others)
            partners.append(others[needed - 1])
            core |= self._close(partners[-1])
            others = [other for other in others[: needed - 1] if other not in core]
        return await self._name((*sorted(partners, key=self.left.index), item))

    async def _name(self, together: tuple[ItemKey, ...]) -> Guilty:
        """Returns the guilty one of items that are red together: the last, unless the others are red without it."""
        *partners, item = together
        closed = frozenset(partners).union(*map(self._close, partners))
        if partners and await self.trials.is_red(closed, twice=True):  # a green result came by chance
            return await self._name(tuple(partners))
        return Guilty(item, tuple(partners))

    async def _count_needed(self, core: frozenset[ItemKey], others: list[ItemKey]) -> int:
        """Returns how many of the other items, from the first, make a green set red."""
        green, red = 0, len(others)
        while red - green > 1:
            middle = (green + red) // 2
            if await self.trials.is_red(core.union(others[:middle])):
                red = middle
            else:
                green = middle
        return red

    def _close(self, item: ItemKey) -> frozenset[ItemKey]:
        """Returns an item with those that it stands on."""
        return self.below.get(item, frozenset()) | {item}
