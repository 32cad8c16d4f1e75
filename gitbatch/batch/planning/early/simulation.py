"""The course of a batch with given durations, with and without early start. Pure: the core decides what starts."""

from collections.abc import Mapping
from heapq import heappop, heappush
from itertools import count

from msgspec import Struct

from gitbatch.batch.planning.early.frontier import Frontier
from gitbatch.batch.planning.early.model import EarlyLimits, EarlyPlan
from gitbatch.plan.model import ItemReference


class SimulatedItem(Struct, frozen=True):
    """When an item ran, in the unit of the durations."""

    reference: ItemReference
    is_early: bool
    start: float
    end: float


class SimulatedRun(Struct, frozen=True):
    """A batch in which each item succeeds at once, without pauses."""

    wall_time: float
    """When the last group was recorded."""
    items: tuple[SimulatedItem, ...]
    """In the order in which they started."""


def simulate_run(
    plan: EarlyPlan, limits: EarlyLimits, durations: Mapping[ItemReference, float]
) -> SimulatedRun:
    """Returns the course of a batch whose items take the given time. What starts, starts at once."""
    frontier, order = Frontier(plan, limits), count()
    now, items = 0.0, list[SimulatedItem]()
    running: list[tuple[float, int, ItemReference]] = []

    def start_items() -> None:
        for start in frontier.start_items():
            end = now + durations[start.reference]
            items.append(SimulatedItem(start.reference, start.is_early, now, end))
            heappush(running, (end, next(order), start.reference))

    for group in plan.groups:
        for reference in frontier.open_group(group.number):
            frontier.keep_item(reference)
        left = set(frontier.list_unended())
        start_items()
        while left:
            now = running[0][0]
            while running and running[0][0] <= now:
                ended = heappop(running)[2]
                left.discard(ended)
                frontier.end_item(ended, is_done=True)
            if left:
                start_items()
        frontier.record_group()
    return SimulatedRun(now, tuple(items))
