"""Ticking boxes, and opening them again: the only change that gitbatch makes to a task.md, one byte per box.

The user may have edited the file since the plan was read, so nothing is trusted but the bytes as they are now:
a box is ticked where its line still stands, else where its line stands open exactly once, else not at all.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import Enum

from msgspec import Struct

from gitbatch.plan.model import BoxPosition, Plan


class Ticked(Struct, frozen=True):
    """A task.md with its boxes ticked or open as wanted, and what became of each mark."""

    source: bytes
    ticked: tuple[BoxPosition, ...]
    """Boxes that were changed."""
    already: tuple[BoxPosition, ...]
    """Boxes that were so before."""
    refused: tuple[BoxPosition, ...]
    """Boxes that cannot be identified: the line is gone, or is there more than once."""


class _Fate(Enum):
    TICKED = "ticked"
    ALREADY = "already"
    REFUSED = "refused"


def tick(source: bytes, marks: Sequence[BoxPosition], plan: Plan) -> Ticked:
    """Tick items and criteria.

    Args:
        source: a task.md.
        marks: as `parse_plan` gave them for this or an earlier version of the file.
        plan: what `source` says.
    """
    return _mark_boxes(source, marks, plan, is_done=True)


def untick(source: bytes, marks: Sequence[BoxPosition], plan: Plan) -> Ticked:
    """Opens the boxes of items and criteria again; arguments and result as with `tick`."""
    return _mark_boxes(source, marks, plan, is_done=False)


def _mark_boxes(source: bytes, marks: Sequence[BoxPosition], plan: Plan, *, is_done: bool) -> Ticked:
    places = _find(tuple(dict.fromkeys(marks)), _boxes(plan))
    ticked = bytearray(source)
    fates: list[tuple[BoxPosition, _Fate]] = []
    for mark, place in places:
        if place is None:
            fates.append((mark, _Fate.REFUSED))
        elif is_ticked(source, place) is is_done:
            fates.append((mark, _Fate.ALREADY))
        else:
            ticked[place.offset] = ord("x" if is_done else " ")
            fates.append((mark, _Fate.TICKED))
    sorted_out = (tuple(mark for mark, fate in fates if fate is wanted) for wanted in _Fate)
    return Ticked(bytes(ticked), *sorted_out)


def is_ticked(source: bytes, mark: BoxPosition) -> bool:
    """Whether a box is ticked in a text that has it where the mark says."""
    return source[mark.offset : mark.offset + 1] != b" "


def _boxes(plan: Plan) -> list[BoxPosition]:
    return [*(item.box for item in plan.items), *(criterion.box for criterion in plan.criteria)]


def _find(
    marks: Sequence[BoxPosition], boxes: Sequence[BoxPosition]
) -> list[tuple[BoxPosition, BoxPosition | None]]:
    """For each mark the box that it means today, if that is certain. No box is found for two marks."""
    by_offset = {box.offset: box for box in boxes}
    still = {mark for mark in marks if mark.offset in by_offset and _same(by_offset[mark.offset], mark)}
    moved = _unclaimed(boxes, {mark.offset for mark in still})
    asking = Counter(_as_open(mark.line) for mark in marks if mark not in still)
    return [
        (mark, by_offset[mark.offset] if mark in still else _moved(mark, moved, asking)) for mark in marks
    ]


def _unclaimed(boxes: Iterable[BoxPosition], claimed: set[int]) -> dict[bytes, list[BoxPosition]]:
    """The boxes that no mark was found at, by their lines."""
    moved: dict[bytes, list[BoxPosition]] = {}
    for box in boxes:
        if box.offset not in claimed:
            moved.setdefault(_as_open(box.line), []).append(box)
    return moved


def _moved(
    mark: BoxPosition, moved: dict[bytes, list[BoxPosition]], asking: Counter[bytes]
) -> BoxPosition | None:
    line = _as_open(mark.line)
    same = moved.get(line, [])
    is_open = [box for box in same if box.line == line]
    if asking[line] > 1 or len(is_open) > 1 or not same:
        return None
    return is_open[0] if is_open else same[0]


def _same(left: BoxPosition, right: BoxPosition) -> bool:
    return _as_open(left.line) == _as_open(right.line)


def _as_open(line: bytes) -> bytes:
    """A line with its box open: the box is the first bracket in it."""
    box = line.find(b"[") + 1
    return b"%s %s" % (line[:box], line[box + 1 :]) if box else line
