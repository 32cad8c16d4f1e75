"""The plan in a text that differs from an earlier one in ticks alone: a checkpoint of a long plan changes nothing else.

Parsing 10,000 items takes a second, and a batch of 20 groups reads its plan after each of them. Pure.
"""

from bisect import bisect_right

from msgspec.structs import replace

from gitbatch.plan.model import BoxPosition, Criterion, Group, Plan, WorkItem

_MARKS = frozenset({b" ", b"x"})


class _OtherChangeError(Exception):
    """The texts differ in more than ticks, or it is not certain that they do not."""


def retick_plan(plan: Plan, before: bytes, source: bytes) -> Plan | None:
    """Returns what `parse_plan` returns for a text, from the plan of another; None: they differ in more than ticks.

    A plan with diagnostics is not used again: they may quote a box.

    Args:
        plan: the plan that `before` holds.
        before: a text.
        source: the text that is wanted.
    """
    if plan.diagnostics or len(before) != len(source):
        return None
    entries: list[WorkItem | Criterion] = [*plan.items, *plan.criteria]
    changed = frozenset(e.box.offset for e in entries if before[e.box.offset] != source[e.box.offset])
    expected = bytearray(before)
    for at in changed:
        expected[at] = source[at]
    marks = {text[at : at + 1] for at in changed for text in (before, source)}
    if expected != source or not marks <= _MARKS:
        return None
    lines = sorted(entry.line for entry in entries)
    try:
        groups = tuple(_retick_group(group, changed, before, lines) for group in plan.groups)
        criteria = tuple(_retick_criterion(each, changed, before) for each in plan.criteria)
    except _OtherChangeError:
        return None
    return replace(plan, groups=groups, criteria=criteria)


def _retick_group(group: Group, changed: frozenset[int], before: bytes, lines: list[int]) -> Group:
    items = tuple(_retick_item(item, changed, before, lines) for item in group.items)
    return replace(group, items=items)


def _retick_item(item: WorkItem, changed: frozenset[int], before: bytes, lines: list[int]) -> WorkItem:
    here = bisect_right(lines, item.line)
    if here < len(lines) and lines[here] <= item.line + item.text.count("\n"):
        raise _OtherChangeError  # its text holds another box of the plan
    if item.box.offset not in changed:
        return item
    box, was = _flip_box(item.box, before), item.box.line.decode().strip()
    first, newline, rest = item.text.partition("\n")
    if first.strip() != was:
        raise _OtherChangeError
    text = f"{first.replace(was, box.line.decode().strip())}{newline}{rest}"
    return replace(item, done=not item.done, box=box, text=text)


def _retick_criterion(criterion: Criterion, changed: frozenset[int], before: bytes) -> Criterion:
    if criterion.box.offset not in changed:
        return criterion
    return replace(criterion, done=not criterion.done, box=_flip_box(criterion.box, before))


def _flip_box(box: BoxPosition, before: bytes) -> BoxPosition:
    """Returns a box with the other mark."""
    at = box.offset - (before.rfind(b"\n", 0, box.offset) + 1)
    mark = before[box.offset : box.offset + 1]
    if box.line[at : at + 1] != mark or before[box.offset - at : box.offset - at + len(box.line)] != box.line:
        raise _OtherChangeError
    return replace(box, line=box.line[:at] + (b" " if mark == b"x" else b"x") + box.line[at + 1 :])
