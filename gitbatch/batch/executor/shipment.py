"""The shipment for an item: the objects of its worktree that a worker lacks, as one pack.

These are the base commit, the trees on the way to what is checked out, and the blobs of those files; for a whole checkout
everything below the commit's tree. Ids are made of contents, so what a worker was sent once is exact for as long as it
is connected. Whatever the size of the repository, an item costs the few objects that its worktree has.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

from gitbatch.batch.workplace.protocol import WorkplaceSetup
from gitbatch.paths import ancestors
from gitbatch.repo.objects.codec import SUBMODULE
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.path_rules import ATTRIBUTES
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.sparse import list_wanted_objects


@dataclass(slots=True)
class HaveSet:
    """The objects that a worker has."""

    objects: set[str] = field(default_factory=set)
    """Commits, trees and blobs, each by itself."""
    complete: set[str] = field(default_factory=set)
    """Trees of whole checkouts: with everything below them."""

    def note_shipment(self, shipment: "Shipment") -> None:
        """Notes what a worker has got."""
        self.complete.update(shipment.complete)
        self.objects.update(shipment.single)


class Shipment(Struct, frozen=True):
    """The objects that a worker lacks for an item."""

    single: tuple[str, ...] = ()
    """Those that are remembered one by one."""
    complete: tuple[str, ...] = ()
    """Trees of which everything is sent."""
    below: tuple[str, ...] = ()
    """The blobs in these."""

    @property
    def oids(self) -> tuple[str, ...]:
        """All of them."""
        return tuple(dict.fromkeys((*self.single, *self.complete, *self.below)))


def plan_shipment(objects: Objects, setup: WorkplaceSetup, have: HaveSet) -> Shipment:
    """Returns what a worker lacks for the worktree of a setup."""
    single = [setup.commit, *((setup.earlier,) if setup.earlier else ())]
    complete: list[str] = []
    below: list[str] = []
    if setup.paths is None:
        _add_whole(objects, setup.tree, have, (complete, below))
    else:
        folders = ("", *(f"{folder}/" for folder in ancestors(setup.output)))
        rules = (f"{folder}{ATTRIBUTES}" for folder in folders)
        single += list_wanted_objects(objects, setup.tree, (*setup.paths, *rules))
    lacking = tuple(oid for oid in dict.fromkeys(single) if oid not in have.objects)
    return Shipment(lacking, tuple(dict.fromkeys(complete)), tuple(dict.fromkeys(below)))


def _add_whole(objects: Objects, tree: str, have: HaveSet, found: tuple[list[str], list[str]]) -> None:
    """Adds a tree and everything below it, without the trees that a worker has."""
    if tree in have.complete:
        return
    trees, blobs = found
    trees.append(tree)
    for entry in objects.read_tree(tree):
        if entry.is_tree:
            _add_whole(objects, entry.oid, have, found)
        elif entry.mode != SUBMODULE:
            blobs.append(entry.oid)


@contextmanager
def open_temporary(folder: Path) -> Iterator[int]:
    """Yields the descriptor of a file without a name below a folder."""
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        yield file.fileno()


def write_pack(repo: Repository, oids: tuple[str, ...], descriptor: int) -> int:
    """Writes the pack of some objects to a file, which git does itself; returns its size in bytes."""
    repo.objects.writer.flush()
    listed = "".join(f"{oid}\n" for oid in oids).encode()
    repo.git.run_to_fd(descriptor, "pack-objects", "-q", "--stdout", "--delta-base-offset", input=listed)
    return os.fstat(descriptor).st_size
