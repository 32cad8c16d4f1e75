"""The bases of item commits: a commit of the branch, or a base merge of it and of the item commits that an item sees.

A base merge has as parents only those item commits that no other of them has below it; so a row of items that wait for
each other costs one merge an item. Its tree is the one of the branch's commit plus the outputs of all of them.
"""

from collections.abc import Callable, Collection, Iterable

from msgspec import Struct

from gitbatch.batch.history.messages import is_base_message
from gitbatch.batch.history.trailers import Kind, parse_trailers
from gitbatch.repo.objects.codec import Commit
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.repository import Repository


class BaseParts(Struct, frozen=True):
    """The parts of a base."""

    line: str
    """The commit of the branch."""
    merged: tuple[str, ...] = ()
    """The item commits that it merges itself; what these stand on is below them."""


def read_base(objects: Objects, base: str) -> BaseParts:
    """Returns the parts of the commit that an item started from.

    Raises:
        MissingObjectError: a commit is missing.
    """
    merged: tuple[str, ...] = ()
    commit = objects.read_commit(base)
    while _is_base_merge(commit):
        merged = (*commit.parents[1:], *merged)
        commit = objects.read_commit(commit.parents[0])
    return BaseParts(commit.oid, merged)


def _is_base_merge(commit: Commit) -> bool:
    """Whether a commit is a base merge; a branch may also begin at the merge of a group, of any batch."""
    if len(commit.parents) < 2 or not is_base_message(commit.message):
        return False
    return parse_trailers(commit.message).kind is Kind.MERGE


def find_below(commits: Iterable[str], direct: Callable[[str], tuple[str, ...]]) -> frozenset[str]:
    """Returns the item commits below item commits. Pure.

    Args:
        commits: item commits.
        direct: returns the item commits that the base of one merges itself.
    """
    found: set[str] = set()
    to_do = list(commits)
    while to_do:
        new = [oid for oid in direct(to_do.pop()) if oid not in found]
        found.update(new)
        to_do += new
    return frozenset(found)


def find_unmerged(repo: Repository, commits: Collection[str], tip: str) -> frozenset[str]:
    """Returns those of some commits that are not in the history of a commit."""
    if not commits:
        return frozenset()
    return frozenset(repo.git.read_output("rev-list", *commits, f"^{tip}").split()) & frozenset(commits)


def is_on_first_line(repo: Repository, commit: str, tip: str) -> bool:
    """Whether a commit is the tip of a branch, or one of its first-parent ancestors."""
    if commit == tip:
        return True
    above = repo.git.read_output("rev-list", "--first-parent", "--reverse", tip, f"^{commit}").split()
    return bool(above) and commit in repo.objects.read_commit(above[0]).parents[:1]


class BaseReader:
    """Reads bases, each once."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._by_base: dict[str, BaseParts] = {}
        self._by_item: dict[str, BaseParts] = {}

    def parts_of(self, commit: str) -> BaseParts:
        """Returns the parts of the base of an item's commit."""
        if commit not in self._by_item:
            self.read_items((commit,))
        return self._by_item[commit]

    def read_items(self, commits: Iterable[str]) -> None:
        """Reads the bases of items' commits, which are asked for all at once: an answer takes longer than a commit."""
        new = [commit for commit in commits if commit not in self._by_item]
        for item in self._objects.read_commits(new):  # which keeps no answer open while it yields
            base = item.parents[0]
            if base not in self._by_base:
                self._by_base[base] = read_base(self._objects, base)
            self._by_item[item.oid] = self._by_base[base]

    def direct(self, commit: str) -> tuple[str, ...]:
        """Returns the item commits that the base of an item's commit merges itself."""
        return self.parts_of(commit).merged
