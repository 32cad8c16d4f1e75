"""The longest chains of items that read each other: what is at their beginning is worth starting first. Pure."""

from collections.abc import Mapping

from gitbatch.batch.planning.early.model import EarlyItem, EarlyLimits, EarlyPlan
from gitbatch.plan.model import ItemReference


def measure_heights(plan: EarlyPlan, limits: EarlyLimits) -> Mapping[ItemReference, int]:
    """Returns for each item how many items the longest chain behind it has that could start early because of it.

    It is 0 for all items of a plan in which none can start early: these run in the order of the plan, as they always did.
    """
    heights = dict.fromkeys((item.reference for item in plan.items), 0)
    if limits.lookahead == 0:
        return heights
    by_reference = {item.reference: item for item in plan.items}
    early = {item.reference for item in plan.items if plan.find_obstacle(item) is None}
    left = dict.fromkeys(heights, 0)
    for item in plan.items:
        for other in (*item.reads, *item.waits):
            left[other] += 1
    ends = [reference for reference, count in left.items() if not count]
    while ends:
        item = by_reference[ends.pop()]
        for other in (*item.reads, *item.waits):
            if _counts(item, heights, early):
                heights[other] = max(heights[other], heights[item.reference] + 1)
            left[other] -= 1
            if not left[other]:
                ends.append(other)
    return heights


def _counts(item: EarlyItem, heights: Mapping[ItemReference, int], early: set[ItemReference]) -> bool:
    """Returns true if an item starts early, or holds up one that does."""
    return item.reference in early or heights[item.reference] > 0
