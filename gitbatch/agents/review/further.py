"""A further review of an item: the lines that it may find fault with. Without that, each review finds something else."""

from collections.abc import Iterable
from difflib import SequenceMatcher

_MOST_LINES = 20_000
"""Lines of both versions together; larger ones are not compared, and all of their lines count as changed."""


def find_changed_lines(before: tuple[str, ...], now: tuple[str, ...]) -> frozenset[int]:
    """Returns the numbers of the lines that changed; of lines that are gone, the ones around them."""
    return frozenset(_compare(before, now)[0])


def find_open_lines(
    before: tuple[str, ...], now: tuple[str, ...], findings: Iterable[int]
) -> tuple[int, ...]:
    """Returns the numbers of the lines that a further review may name.

    Args:
        before: the lines at the review before.
        now: the lines.
        findings: the numbers of the lines that the review before has named.
    """
    changed, moved = _compare(before, now)
    return tuple(sorted(changed | {moved[line] for line in findings if line in moved}))


def _compare(before: tuple[str, ...], now: tuple[str, ...]) -> tuple[set[int], dict[int, int]]:
    """Returns the lines that changed, and for each line before that did not, its number now."""
    if len(before) + len(now) > _MOST_LINES:
        return set(range(1, len(now) + 1)), {}
    changed: set[int] = set()
    moved: dict[int, int] = {}
    for kind, first, end, there, there_end in SequenceMatcher(None, before, now).get_opcodes():
        if kind == "equal":
            moved.update(zip(range(first + 1, end + 1), range(there + 1, there_end + 1), strict=True))
        elif kind == "delete":
            changed.update(line for line in (there, there + 1) if 0 < line <= len(now))
        else:
            changed.update(range(there + 1, there_end + 1))
    return changed, moved
