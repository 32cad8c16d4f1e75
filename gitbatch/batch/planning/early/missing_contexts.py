"""Estimating what early start saves in a plan, and which missing `(context: …)` costs most of it. Pure: simulations with seeded times.

The times of items are not known before they run. They are drawn from a lognormal distribution, the same for all items: if
each item took the same time, groups would end together, and waiting for the slowest would seem to cost nothing.
"""

import math
import random
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import groupby
from statistics import fmean

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.planning.early.model import EarlyLimits, EarlyPlan, Obstacle
from gitbatch.batch.planning.early.simulation import simulate_run
from gitbatch.plan.model import ItemReference

SPREAD = 0.5
"""The standard deviation of the logarithm of an item's time."""
_ROUNDS = 5
_COMPARED = 3
"""How many of the rounds each missing context is simulated in."""
_ITEMS = 3_000
"""The most items of all simulations together: large plans are simulated less often."""

_LEAST = 0.005
"""The part of the time from which on a missing context is named."""


class MissingContext(Struct, frozen=True):
    """Items that declare no context, and what a run would save if they declared files that no open item writes."""

    items: tuple[ItemReference, ...]
    saved: float
    """The part of the time with early start: 0.25 is a quarter."""


class Savings(Struct, frozen=True):
    """The simulated times of a batch; the unit is the mean time of an item."""

    without: float
    """Group by group."""
    wall_time: float
    """With early start."""
    rounds: int
    """How many simulations the times are the mean of."""
    missing: tuple[MissingContext, ...] = ()
    """By group, what costs most first; then the item of the first group that alone costs most, if one does."""

    @property
    def saved(self) -> float:
        """Returns the part of the time that early start saves."""
        return 1 - self.wall_time / self.without


def estimate_savings(plan: EarlyPlan, limits: EarlyLimits) -> Savings | None:
    """Returns what early start saves; None: there is one group or none, so it can save nothing."""
    if len(plan.groups) <= 1:
        return None
    rounds = max(1, min(_ROUNDS, _ITEMS // (4 * len(plan.items))))
    times = tuple(_draw_times(plan, seed) for seed in range(rounds))
    without = _measure_plan(plan, replace(limits, lookahead=0), times)
    wall_time = _measure_plan(plan, limits, times)
    compared = times[:_COMPARED]
    most = (_ITEMS // len(plan.items) - 2 * rounds) // len(compared)
    missing = _find_missing(plan, limits, compared, most)
    return Savings(without, wall_time, rounds, missing)


def _draw_times(plan: EarlyPlan, seed: int) -> Mapping[ItemReference, float]:
    drawn = random.Random(seed)  # noqa: S311 - the same times for the same plan
    mean = -(SPREAD**2) / 2  # of the logarithm: the mean time is 1
    return {item.reference: math.exp(drawn.gauss(mean, SPREAD)) for item in plan.items}


def _measure_plan(
    plan: EarlyPlan, limits: EarlyLimits, times: tuple[Mapping[ItemReference, float], ...]
) -> float:
    return fmean(simulate_run(plan, limits, durations).wall_time for durations in times)


def _find_missing(
    plan: EarlyPlan,
    limits: EarlyLimits,
    times: tuple[Mapping[ItemReference, float], ...],
    most: int,
) -> tuple[MissingContext, ...]:
    """Returns the missing contexts that cost something, with at most a number of changed plans."""
    wall_time = _measure_plan(plan, limits, times)

    def measure(items: tuple[ItemReference, ...]) -> MissingContext:
        declared = _declare_contexts(plan, frozenset(items))
        return MissingContext(items, 1 - _measure_plan(declared, limits, times) / wall_time)

    groups = tuple(_list_undeclared(plan))[: max(0, most)]
    found = _keep_costly(map(measure, groups))
    if not found:
        return ()
    alone = found[0].items[: max(0, most - len(groups))] if len(found[0].items) > 1 else ()
    return (*found, *_keep_costly(measure((reference,)) for reference in alone)[:1])


def _keep_costly(found: Iterable[MissingContext]) -> list[MissingContext]:
    """Returns what is worth naming, what costs most first."""
    costly = (each for each in found if each.saved >= _LEAST)
    return sorted(costly, key=lambda each: -each.saved)


def _list_undeclared(plan: EarlyPlan) -> Iterator[tuple[ItemReference, ...]]:
    """Yields the items of each group that would start early but for their missing context."""
    for _, items in groupby(plan.items, key=lambda item: item.group):
        missing = tuple(i.reference for i in items if plan.find_obstacle(i) is Obstacle.NO_CONTEXT)
        if missing:
            yield missing


def _declare_contexts(plan: EarlyPlan, items: AbstractSet[ItemReference]) -> EarlyPlan:
    """Returns the plan in which some items declare files that no item of the batch writes."""
    changed = (replace(item, obstacle=None) if item.reference in items else item for item in plan.items)
    return EarlyPlan(tuple(changed), plan.groups)
