"""Judging an early item in its group's turn: whether what it was written from still holds (rule F2). Pure.

It is taken only if all of it is the same: the files that an item would be given now, and their blobs; its place in the plan;
and the items whose commits its base has, which must be merged before it. Files that every checkpoint writes do not count.
"""

import hashlib
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from msgspec import Struct


class EarlyReading(Struct, frozen=True):
    """The inputs that an early item was written from, as the trailers and the base of its commit have it."""

    files: tuple[tuple[str, str], ...]
    """The paths that its agent was given, and that of its output if it was there, each with its blob."""
    plan_item: str
    """The digest of what the plan said about it: `digest_plan_item`."""
    base: tuple[str, ...] = ()
    """The item commits that its base has in addition to the branch."""


class ChangedFile(Struct, frozen=True):
    """A file that an item was given in another version than it would be now."""

    path: str
    read: str | None
    """The blob that it was given; None: it was not given the file."""
    now: str | None
    """The blob that it would be given; None: it would not be given the file."""


class Staleness(Struct, frozen=True):
    """Why an early item is not taken."""

    changed: tuple[ChangedFile, ...] = ()
    is_plan_changed: bool = False
    unmerged: tuple[str, ...] = ()
    """The item commits of its base that the branch does not have."""
    problem: str = ""
    """Why it could not start now, although all of that is the same; empty: it could."""

    def __bool__(self) -> bool:
        return bool(self.changed or self.is_plan_changed or self.unmerged or self.problem)


def judge_reading(
    reading: EarlyReading,
    given: Iterable[tuple[str, str]],
    plan_item: str,
    ignored: AbstractSet[str],
    merged: AbstractSet[str],
) -> Staleness:
    """Returns why an early item is stale; empty (false) if it is taken.

    Args:
        reading: what it was written from.
        given: the paths and blobs that its agent would be given on the branch now, with what the items that it waits for wrote.
        plan_item: the digest of what the plan says about it now.
        ignored: the paths of files that every checkpoint writes.
        merged: the item commits that checkpoints have merged, or that are taken in the same checkpoint.
    """
    return Staleness(
        tuple(_compare_files(dict(reading.files), dict(given), ignored)),
        reading.plan_item != plan_item,
        tuple(commit for commit in reading.base if commit not in merged),
    )


def _compare_files(
    read: Mapping[str, str], given: Mapping[str, str], ignored: AbstractSet[str]
) -> Iterable[ChangedFile]:
    for path in dict.fromkeys((*read, *given)):
        if path not in ignored and read.get(path) != given.get(path):
            yield ChangedFile(path, read.get(path), given.get(path))


def name_reading(
    given: Iterable[tuple[str, str]], plan_item: str, config: str, ignored: AbstractSet[str]
) -> str:
    """Returns a digest of all that an item is written from: its attempts are counted by it.

    Args:
        given: the paths and blobs that its agent is given.
        plan_item: the digest of what the plan says about it.
        config: the blob of the configuration; empty: none exists.
        ignored: the paths of files that every checkpoint writes.
    """
    files = sorted(f"{path}@{blob}" for path, blob in given if path not in ignored)
    said = "\n".join((plan_item, config, *files))
    return hashlib.sha256(said.encode("utf-8", "surrogateescape")).hexdigest()
