"""The items that are not to start early because several items write a file, one after the other. Pure."""

from collections import Counter
from collections.abc import Mapping

from msgspec.structs import replace

from gitbatch.batch.planning.early.model import EarlyItem, EarlyPlan, Obstacle
from gitbatch.plan.model import ItemReference, Plan


def hold_doubled(early: EarlyPlan, plan: Plan) -> EarlyPlan:
    """Returns the items, of which those start with their group whose base could have a file in two versions."""
    held = find_doubled(early, {item.reference: item.output for item in plan.items})

    def mark(item: EarlyItem) -> EarlyItem:
        if item.reference not in held:
            return item
        return replace(item, obstacle=item.obstacle or Obstacle.SEVERAL_WRITERS)

    return EarlyPlan(tuple(map(mark, early.items)), early.groups) if held else early


def find_doubled(plan: EarlyPlan, outputs: Mapping[ItemReference, str]) -> frozenset[ItemReference]:
    """Returns the items whose base could have a file in two versions, or in an old one, as several items write it."""
    written = Counter(outputs[item.reference] for item in plan.items)
    several = {reference for reference, path in outputs.items() if written[path] > 1}
    below: dict[ItemReference, frozenset[ItemReference]] = {
        item.reference: frozenset() for item in plan.items
    }
    is_changed = bool(several)
    while is_changed:
        is_changed = False
        for item in plan.items:
            inputs = (*item.reads, *item.waits)
            found = frozenset(several.intersection(inputs)).union(*(below[other] for other in inputs))
            is_changed = is_changed or found != below[item.reference]
            below[item.reference] = found
    paths = {reference: [outputs[other] for other in found] for reference, found in below.items()}
    doubled = {reference for reference, found in paths.items() if len(set(found)) < len(found)}
    return frozenset(doubled | _find_rewritten(plan, outputs, below))


def _find_rewritten(
    plan: EarlyPlan,
    outputs: Mapping[ItemReference, str],
    below: Mapping[ItemReference, frozenset[ItemReference]],
) -> frozenset[ItemReference]:
    """Returns the items that would be stale in their turn: a group before it writes a file of their base again."""
    groups: dict[str, list[int]] = {}
    for item in plan.items:
        groups.setdefault(outputs[item.reference], []).append(item.group)
    group_of = {item.reference: item.group for item in plan.items}
    return frozenset(
        item.reference
        for item in plan.items
        if any(
            group_of[other] < number < item.group
            for other in below[item.reference]
            for number in groups[outputs[other]]
        )
    )
