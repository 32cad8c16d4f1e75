"""Selecting the items of a batch: the user's choice, checked against the plan before anything starts."""

import re
from collections.abc import Iterable

from gitbatch.batch.model import BatchGroup, BatchItem
from gitbatch.errors import UsageError
from gitbatch.plan.model import Plan, WorkItem
from gitbatch.plan.titles import slugify
from gitbatch.text import clean_text

_GROUPS = re.compile(r"group:([0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*)", re.IGNORECASE)


def select_items(plan: Plan, choice: str) -> tuple[WorkItem, ...]:
    """Returns the open items that a choice names: `all`, `group:1-2`, or ids and output paths with commas between.

    Raises:
        UsageError: it names something that is not in the plan, or an item that is done.
    """
    choice = choice.strip()
    if choice.casefold() == "all":
        return tuple(item for item in plan.items if not item.done)
    groups = _GROUPS.fullmatch(choice)
    if groups:
        wanted = _parse_numbers(groups[1], len(plan.groups))
        return tuple(item for item in plan.items if item.group in wanted and not item.done)
    chosen = {_find_named(plan, name.strip()).reference for name in choice.split(",") if name.strip()}
    if not chosen:
        raise UsageError(
            "--items is empty", "use all, group:1-2, or ids and output paths with commas between"
        )
    return tuple(item for item in plan.items if item.reference in chosen)


def _parse_numbers(text: str, last: int) -> frozenset[int]:
    parts = [part.partition("-")[::2] for part in text.split(",")]
    ranges = [(_parse_bounded(low), _parse_bounded(high or low)) for low, high in parts]
    numbers = {number for low, high in ranges for number in range(low, min(high, last + 1) + 1)}
    if not numbers or min(numbers) < 1 or max(high for _, high in ranges) > last:
        raise UsageError(
            f"group:{clean_text(text, 40)} is not in the plan",
            f"its groups are 1 to {last}: see gitbatch plan",
        )
    return frozenset(numbers)


def _parse_bounded(digits: str) -> int:
    """Returns a number, or one that is larger than any group's: `int` raises for more than 4,300 digits."""
    return int(digits.lstrip("0")[:9] or 0)


def _find_named(plan: Plan, name: str) -> WorkItem:
    found = [item for item in plan.items if name in (item.id, item.output, item.reference)]
    if not found:
        raise UsageError(f"no item is called {name!r}", "see gitbatch plan for the ids and output paths")
    if len(found) > 1:
        listed = " or ".join(item.reference for item in found)
        raise UsageError(f"{len(found)} items are called {name}", f"name the one that you mean: {listed}")
    if found[0].done:
        raise UsageError(
            f"{name} is done: its box is ticked", "untick it in the plan and commit that, to run it again"
        )
    return found[0]


def group_items(plan: Plan, items: Iterable[WorkItem]) -> tuple[BatchGroup, ...]:
    """Returns the chosen items by group, with the names of their branches."""
    chosen = {item.reference for item in items}
    groups = []
    for group in plan.groups:
        taken: set[str] = set()
        members = tuple(
            BatchItem(item.output, item.name, item.title, _make_slug(item, group.number, taken), group.number)
            for item in group.items
            if item.reference in chosen
        )
        if members:
            groups.append(BatchGroup(group.number, group.title, members))
    return tuple(groups)


def _make_slug(item: WorkItem, group: int, taken: set[str]) -> str:
    stem = f"{group}-{slugify(item.id or item.title)}"
    slug, count = stem, 1
    while slug in taken:
        count += 1
        slug = f"{stem}-{count}"
    taken.add(slug)
    return slug
