"""Finding guilty items: seeded gates, whose runs are counted."""

import asyncio
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbatch.batch.group.guilty import GuiltSearch, Guilty, find_guilty, sort_by_base
from gitbatch.plan.model import ItemKey

Keys = frozenset[ItemKey]


def keys(*numbers: int) -> Keys:
    return frozenset(ItemKey(f"1-t{number:02}") for number in numbers)


def listed(count: int) -> tuple[ItemKey, ...]:
    return tuple(sorted(keys(*range(count))))


@dataclass
class Gate:
    """A gate that is red on each set that has one of the bad combinations in it; it counts its runs."""

    items: tuple[ItemKey, ...]
    bad: tuple[Keys, ...]
    below: Mapping[ItemKey, Keys] = field(default_factory=dict)
    links: Mapping[ItemKey, Keys] = field(default_factory=dict)
    """It is also red if an item is there and one that it links to is missing."""
    flakes: Mapping[int, bool] = field(default_factory=dict)
    """By number of run: the result is the other one, but only once for a set of items."""
    wrong: set[Keys] = field(default_factory=set)
    """The sets of items that had a wrong result."""
    breaks: int = 1_000_000
    """The number of the run from which everything is red."""
    known: dict[Keys, list[bool]] = field(default_factory=dict)
    runs: int = 0

    def run_once(self, items: Keys) -> bool:
        assert all(self.below.get(item, frozenset()) <= items for item in items), "not closed"
        self.runs += 1
        if self.runs >= self.breaks:
            return True
        is_wrong = self.runs in self.flakes and items not in self.wrong
        if is_wrong:
            self.wrong.add(items)
        return is_red(self, items) != is_wrong

    async def is_red(self, items: Keys, *, twice: bool = False) -> bool:
        results = self.known.setdefault(items, [])
        if not results:
            results.append(self.run_once(items))
        if twice and results == [True]:
            results.append(self.run_once(items))
        return all(results)

    async def is_rest_red(self, guilty: tuple[Guilty, ...]) -> bool:
        gone = {one.item for one in guilty}
        rest = (i for i in self.items if i not in gone and not self.below.get(i, frozenset()) & gone)
        return await self.is_red(frozenset(rest))

    async def is_base_red(self, found: tuple[Guilty, ...]) -> bool:
        assert found
        return self.run_once(frozenset())

    def search(self) -> GuiltSearch:
        return asyncio.run(find_guilty(self.items, self.below, self))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 15, 16, 17, 64, 200])
def test_one_guilty_item_is_found_with_few_runs(count: int) -> None:
    for number in range(count):
        gate = Gate(listed(count), (keys(number),))
        (guilty,) = keys(number)
        assert gate.search() == GuiltSearch((Guilty(guilty),), is_resolved=True)
        assert gate.runs <= 2 * math.log2(count) + 4


def test_two_guilty_items_of_eight_cost_about_two_runs_for_each_item() -> None:
    for one in range(8):
        for other in range(one):
            gate = Gate(listed(8), (keys(one), keys(other)))
            found = gate.search()
            assert {guilty.item for guilty in found.guilty} == keys(one, other)
            assert found.is_resolved
            assert gate.runs <= 17


def test_all_items_guilty_cost_little_more_than_two_runs_each() -> None:
    gate = Gate(listed(16), tuple(keys(number) for number in range(16)))
    found = gate.search()
    assert {guilty.item for guilty in found.guilty} == keys(*range(16))
    assert found.is_resolved
    assert gate.runs <= 2 * 16 + 12


def test_items_that_are_red_only_together_are_named_together() -> None:
    for one in range(16):
        for other in range(one):
            gate = Gate(listed(16), (keys(one, other),))
            (last,), (first,) = sorted(keys(one)), sorted(keys(other))
            assert gate.search() == GuiltSearch((Guilty(last, (first,)),), is_resolved=True)


def test_three_items_that_are_red_only_together_are_named_together() -> None:
    gate = Gate(listed(9), (keys(1, 4, 7),))
    assert gate.search().guilty == (Guilty(ItemKey("1-t07"), tuple(sorted(keys(1, 4)))),)


def test_an_item_on_a_guilty_one_is_not_guilty() -> None:
    one, two, three = listed(3)
    below = {two: frozenset({one}), three: frozenset({one, two})}
    gate = Gate(listed(3), (keys(0),), below)
    assert gate.search() == GuiltSearch((Guilty(one),), is_resolved=True)


def test_no_item_comes_before_one_that_it_stands_on() -> None:
    one, two, three = listed(3)
    below = {one: frozenset({two, three}), three: frozenset({two})}
    assert sort_by_base((one, two, three), below) == (two, three, one)


def test_a_gate_that_is_red_on_no_set_of_items_names_none() -> None:
    """As if the shared files made it red, or chance."""
    gate = Gate(listed(16), ())
    assert gate.search() == GuiltSearch((), is_resolved=False)


def test_a_base_that_is_red_by_now_leaves_all_items_innocent() -> None:
    for run in range(1, 9):
        gate = Gate(listed(16), (keys(5),), breaks=run)
        assert gate.search() == GuiltSearch((), is_resolved=False)


def test_a_result_by_chance_costs_few_more_runs() -> None:
    for run in range(1, 16):
        gate = Gate(listed(16), (keys(11),), flakes={run: True})
        found = gate.search()
        assert {guilty.item for guilty in found.guilty} <= keys(11)
        assert gate.runs <= 2 * math.log2(16) + 16


@pytest.mark.parametrize("guilty", range(8))
def test_an_item_that_is_red_only_without_others_is_innocent(guilty: int) -> None:
    """Each item links to the one before it, but none to the guilty one."""
    names = listed(8)
    links = {names[at]: frozenset({names[at - 1]}) for at in range(1, 8) if at - 1 != guilty}
    gate = Gate(names, (keys(guilty),), links=links)
    assert gate.search() == GuiltSearch((Guilty(names[guilty]),), is_resolved=True)


def combinations(count: int) -> st.SearchStrategy[tuple[Keys, ...]]:
    numbers = st.frozensets(st.integers(0, count - 1), min_size=1, max_size=3)
    return st.lists(numbers.map(lambda some: keys(*some)), min_size=1, max_size=4).map(tuple)


def stand(count: int, seed: int) -> dict[ItemKey, Keys]:
    """Who stands on whom: each item on up to two that are not later in a random order."""
    chance = random.Random(seed)  # noqa: S311 - to be the same each time
    order = chance.sample(listed(count), count)
    below: dict[ItemKey, Keys] = {}
    for place, item in enumerate(order):
        direct = chance.sample(order[:place], min(place, chance.choice((0, 0, 1, 2))))
        below[item] = frozenset(direct).union(*(below[one] for one in direct))
    return below


@given(count=st.integers(1, 20), data=st.data(), seed=st.integers(0, 1000))
def test_without_the_guilty_items_the_rest_is_green_and_no_guilty_item_can_be_kept(
    count: int, data: st.DataObject, seed: int
) -> None:
    below = stand(count, seed)
    gate = Gate(listed(count), data.draw(combinations(count)), below)
    found = gate.search()
    assert found.is_resolved
    guilty = [one.item for one in found.guilty]
    assert not is_red(gate, without(gate, guilty))
    for item in guilty:
        kept = without(gate, [other for other in guilty if other != item])
        assert item not in kept or is_red(gate, kept), f"{item} is innocent"
    for one in found.guilty:
        named = frozenset({one.item, *one.partners})
        assert is_red(gate, named.union(*(below[item] for item in named)))


@given(count=st.integers(1, 12), data=st.data(), seed=st.integers(0, 1000))
def test_a_gate_that_is_red_without_some_items_is_resolved_too(
    count: int, data: st.DataObject, seed: int
) -> None:
    gate = Gate(listed(count), data.draw(combinations(count)), links=stand(count, seed))
    found = gate.search()
    assert found.is_resolved
    guilty = [one.item for one in found.guilty]
    assert not is_red(gate, without(gate, guilty))
    for item in guilty if 1 < len(guilty) <= 4 else ():
        assert is_red(gate, without(gate, [other for other in guilty if other != item]))


def test_a_prefix_without_an_item_that_was_named_is_run_again() -> None:
    links = {ItemKey("1-t00"): keys(1, 2), ItemKey("1-t06"): keys(0, 1, 2)}
    gate = Gate(listed(7), (keys(3), keys(4, 5)), links=links)
    found = gate.search()
    assert found.is_resolved
    assert not is_red(gate, without(gate, [one.item for one in found.guilty]))


@given(count=st.integers(1, 20), data=st.data(), flakes=st.sets(st.integers(1, 60), max_size=6))
def test_a_gate_that_is_red_by_chance_blames_nobody_but_the_guilty(
    count: int, data: st.DataObject, flakes: set[int]
) -> None:
    """Never two runs on the same set of items are wrong."""
    bad = tuple(keys(number) for number in data.draw(st.sets(st.integers(0, count - 1), min_size=1)))
    gate = Gate(listed(count), bad, flakes=dict.fromkeys(flakes, True))
    for one in gate.search().guilty:
        assert is_red(gate, frozenset({one.item, *one.partners}))


def is_red(gate: Gate, items: Keys) -> bool:
    is_dead = any(not gate.links.get(item, frozenset()) <= items for item in items)
    return is_dead or any(bad <= items for bad in gate.bad)


def without(gate: Gate, gone: Iterable[ItemKey]) -> Keys:
    lost = frozenset(gone)
    return frozenset(i for i in gate.items if i not in lost and not gate.below.get(i, frozenset()) & lost)
