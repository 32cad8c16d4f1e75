"""Fixing what is certain in a plan: lookalike boxes, arrows, doubled ids.

A fix is applied only if the plan says the same as before on every other line: it is parsed again and compared. So a box
that would shift the numbers of the Definition of Done stays, and so does an id that another item waits for.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

from gitbatch.plan.model import Diagnostic, Plan, PlanOptions, WorkItem
from gitbatch.plan.parse import parse_plan

_BOX = "GB201"


class FixedPlan(Struct, frozen=True):
    """The text of a plan with its fixes, and the diagnostics that they answer."""

    source: bytes
    fixed: tuple[Diagnostic, ...]


def fix_plan(source: bytes, path: str, options: PlanOptions) -> FixedPlan:
    """Returns a plan with everything fixed that is safe to fix. To do it again changes nothing."""
    done: list[Diagnostic] = []
    while True:
        plan = parse_plan(source, path, options)
        wanted = [diagnostic for diagnostic in plan.diagnostics if diagnostic.fix]
        chosen = _choose_safe(wanted, [], source, plan, options)
        if not chosen:
            return FixedPlan(source, tuple(done))
        source = _apply(source, chosen)
        done += chosen


def _choose_safe(
    wanted: list[Diagnostic], chosen: list[Diagnostic], source: bytes, plan: Plan, options: PlanOptions
) -> list[Diagnostic]:
    """Returns the fixes that are safe together, as many as possible: all, else those of each half."""
    if not wanted:
        return chosen
    together = sorted([*chosen, *wanted], key=lambda diagnostic: diagnostic.start)
    after = parse_plan(_apply(source, together), plan.path, options)
    if _is_safe(plan, after, together):
        return together
    if len(wanted) == 1:
        return chosen
    half = len(wanted) // 2
    first = _choose_safe(wanted[:half], chosen, source, plan, options)
    return _choose_safe(wanted[half:], first, source, plan, options)


def _apply(source: bytes, chosen: Sequence[Diagnostic]) -> bytes:
    parts: list[bytes] = []
    position = 0
    for edit in sorted((each.fix for each in chosen if each.fix), key=lambda edit: edit.start):
        parts += (source[position : edit.start], edit.text)
        position = edit.end
    return b"".join((*parts, source[position:]))


def _is_safe(before: Plan, after: Plan, chosen: Iterable[Diagnostic]) -> bool:
    """Returns true if the fixes have removed their diagnostics, and all other lines mean the same."""
    starts = [item.line for item in before.items]
    boxes = {each.line for each in chosen if each.code == _BOX}
    inside = {_find_owner(starts, each.line) for each in chosen if each.code != _BOX}
    touched = boxes | inside
    gone = Counter((each.code, each.line) for each in chosen)
    counted = Counter((each.code, each.line) for each in after.diagnostics)
    left = Counter((each.code, each.line) for each in before.diagnostics) - gone
    lines = touched | {each.line for each in chosen}
    return (
        all(counted[key] <= left[key] for key in gone)
        and all(counted[key] <= left[key] for key in counted if key[1] not in lines)
        and _describe_rest(before, touched) == _describe_rest(after, touched)
        and _are_kept(_items_at(before, inside), _items_at(after, inside))
        and not _breaks_context(before, after, inside)
    )


def _find_owner(starts: list[int], line: int) -> int:
    """Returns the line where the item begins that a line belongs to."""
    return max((start for start in starts if start <= line), default=line)


def _items_at(plan: Plan, lines: set[int]) -> list[WorkItem]:
    return [item for item in plan.items if item.line in lines]


def _are_kept(before: list[WorkItem], after: list[WorkItem]) -> bool:
    return len(before) == len(after) and all(map(_is_kept, before, after))


def _is_kept(before: WorkItem, after: WorkItem) -> bool:
    """Whether an item is the same item, and a done one has its file."""
    is_same = (before.line, before.done, before.group) == (after.line, after.done, after.group)
    return is_same and (not before.done or before.output == after.output)


def _breaks_context(before: Plan, after: Plan, lines: set[int]) -> bool:
    """Returns true if an item reads a file that no item would write any more."""
    gone = {item.output for item in _items_at(before, lines)} - {item.output for item in after.items}
    return any(name.endswith(path) for item in before.items for name in item.context for path in gone)


def _describe_rest(plan: Plan, touched: set[int]) -> list[object]:
    """Returns everything that a plan says, without the items and criteria that begin on some lines."""
    items = (item for item in plan.items if item.line not in touched)
    criteria = (criterion for criterion in plan.criteria if criterion.line not in touched)
    return [
        plan.hints,
        *(_describe_item(item, plan) for item in items),
        *((criterion.line, criterion.text, criterion.done) for criterion in criteria),
        *((group.line, group.title, group.slug, group.hints) for group in plan.groups),
    ]


def _describe_item(item: WorkItem, plan: Plan) -> tuple[object, ...]:
    named = tuple((c.line, c.text) for c in plan.criteria if c.number in item.criteria)
    where = (item.line, item.group, item.output, item.done)
    return (*where, item.id, item.title, item.context, item.hints, named)
