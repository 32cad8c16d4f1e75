"""The content of a path before the items that wrote it, derived from the versions that they brought. Pure.

A path is put back only over what its items left there: never over a version that the user or another item made since,
neither at the end nor between two versions of an item.
"""

from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from msgspec import Struct

from gitbatch.repo.objects.codec import TreeEntry


class BroughtVersion(NamedTuple):
    """A version of an item's output that is in history."""

    before: TreeEntry | None
    """What was at the path where the item started; None: nothing."""
    made: TreeEntry | None


class Unwound(Struct, frozen=True):
    """A path from which versions are taken back."""

    entry: TreeEntry | None
    """What is there then; None: nothing."""


def unwind_versions(now: TreeEntry | None, items: Iterable[tuple[BroughtVersion, ...]]) -> Unwound | None:
    """Returns what a path has without the versions of items; None if another version is on top of one of them.

    Args:
        now: what the path has.
        items: for each item, its versions in order; the items may come in any order.
    """
    left = list(items)
    while left:
        last = next((versions for versions in left if _ends_in(versions, now)), None)
        if last is None:
            return None
        left.remove(last)
        now = last[0].before
    return Unwound(now)


def _ends_in(versions: tuple[BroughtVersion, ...], now: TreeEntry | None) -> bool:
    """Returns true if a path has the last version, and each one was made on top of the one before."""
    is_unbroken = all(older.made == newer.before for older, newer in pairwise(versions))
    return is_unbroken and bool(versions) and versions[-1].made == now
