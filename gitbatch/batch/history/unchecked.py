"""Outputs that are harvested and whose checks have not all answered: kept by a ref, so that nothing is paid for twice.

The ref points to a tree with the output and with the state of its attempt. It is written before the first check starts.
It counts as long as the item has no commit and the ledger does not have its attempt as a failed one, and is removed when the
item's group is recorded, or when its commit is set aside. A killed run leaves it: the next start asks only the checks whose
verdict is not noted. An agent without a sandbox may write refs too, as it
may write its item's branch.
"""

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.protocol import Reply
from gitbatch.batch.model import BatchItem, FailedAttempt
from gitbatch.checks.verdict import CheckResult
from gitbatch.errors import BusyError, GitError
from gitbatch.limits.usage import Usage
from gitbatch.plan.model import ItemKey
from gitbatch.project.check_tables import CheckTable
from gitbatch.project.context import ContextFile
from gitbatch.repo.objects.codec import REGULAR
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.refs.names import unchecked_ref, unchecked_refs
from gitbatch.repo.repository import Repository, VanishedObjectsError

_OUTPUT, _STATE = "output", "state.json"


class NotedVerdict(Struct, frozen=True):
    """A verdict, and the settings of the check that gave it."""

    result: CheckResult
    settings: str
    """See `settings_of`; other settings are another check."""


class Unchecked(Struct, frozen=True):
    """A harvested output with the state of its attempt."""

    item: ItemKey
    base: str
    """The commit that the attempt started from."""
    blob: str
    tried: FailedAttempt
    """What is known of the attempt: its number, its time, its usage."""
    reply: Reply
    context: tuple[ContextFile, ...]
    """The files that its agent was given."""
    agent: str = ""
    waits: int = 0
    waited: float = 0.0
    verdicts: tuple[NotedVerdict, ...] = ()
    plan_item: str = ""
    """The digest of what the plan said about it, if it started before its group; else empty."""

    @property
    def usage(self) -> Usage:
        """Returns what its attempt has used, with the agents that have reviewed it."""
        return sum((noted.result.usage for noted in self.verdicts), Usage()) + self.tried.usage

    def find_verdict(self, name: str, table: CheckTable) -> CheckResult | None:
        """Returns the verdict of a check with these settings; None if it is not noted."""
        settings = settings_of(table)
        noted = (n.result for n in self.verdicts if n.result.name == name and n.settings == settings)
        return next(noted, None)

    def with_verdict(self, result: CheckResult, table: CheckTable) -> "Unchecked":
        """Returns the same with one more verdict."""
        others = (noted for noted in self.verdicts if noted.result.name != result.name)
        return replace(self, verdicts=(*others, NotedVerdict(result, settings_of(table))))

    def is_ended_by(self, past: Iterable[FailedAttempt]) -> bool:
        """Whether the ledger has its attempt as a failed one: then the state is left over."""
        mine = (self.tried.number, self.tried.base)
        return any(tried.is_counted and (tried.number, tried.base) == mine for tried in past)


def settings_of(table: CheckTable) -> str:
    """Returns a short name for the settings of a check."""
    return hashlib.sha256(msgspec.json.encode(table)).hexdigest()[:16]


def write_unchecked(repo: Repository, batch: str, item: BatchItem, held: Unchecked) -> None:
    """Keeps an output with its state, wherever the ref was. The blob exists, and other processes may prune.

    Raises:
        VanishedObjectsError: the objects were pruned before the ref had them.
    """
    state = repo.objects.write_blob(msgspec.json.encode(held))
    tree = repo.objects.write_tree(None, {_OUTPUT: held.blob, _STATE: state})
    ref = unchecked_ref(batch, item.slug)
    repo.point(ref, tree)
    if not _is_whole(repo, tree, held.blob):
        raise VanishedObjectsError


def read_unchecked(repo: Repository, batch: str, item: BatchItem) -> Unchecked | None:
    """Returns the kept output of an item; None if nothing is kept, or if it cannot be read."""
    tree = repo.refs.read(unchecked_ref(batch, item.slug))
    return _read_tree(repo, tree, item) if tree else None


def find_unchecked(repo: Repository, batch: str, items: Iterable[BatchItem]) -> Mapping[ItemKey, Unchecked]:
    """Returns the kept outputs of items, by key."""
    refs = repo.refs.below(unchecked_refs(batch))
    found = ((item, refs.get(unchecked_ref(batch, item.slug))) for item in items) if refs else ()
    read = (_read_tree(repo, tree, item) for item, tree in found if tree)
    return {held.item: held for held in read if held}


def find_unchecked_refs(repo: Repository, batch: str, slugs: Iterable[str]) -> dict[str, str]:
    """Returns the refs of items, given by their slugs, with what they point to."""
    there = repo.refs.below(unchecked_refs(batch))
    wanted = {unchecked_ref(batch, slug) for slug in slugs} if there else ()
    return {ref: oid for ref, oid in there.items() if ref in wanted}


def drop_unchecked(repo: Repository, batch: str, item: BatchItem) -> None:
    """Removes the ref of an output that does not count any more. What stays, the next start removes."""
    ref = unchecked_ref(batch, item.slug)
    with suppress(GitError, BusyError):
        if oid := repo.refs.read(ref):
            repo.refs.delete({ref: oid})  # not `remove`: its locks are those of a dead run, if it is killed


def _read_tree(repo: Repository, tree: str, item: BatchItem) -> Unchecked | None:
    try:
        files = repo.objects.read_folder(tree)
        held = msgspec.json.decode(repo.objects.read_blob(files[_STATE].oid), type=Unchecked)
    except (KeyError, MissingObjectError, msgspec.DecodeError):  # another version's, or not ours
        return None
    is_sound = held.item == item.key and _is_whole(repo, tree, held.blob)
    return held if is_sound else None


def _is_whole(repo: Repository, tree: str, blob: str) -> bool:
    try:
        entries = repo.objects.read_tree(tree)  # not from a cache: it must still exist
    except MissingObjectError:
        return False
    entry = next((entry for entry in entries if entry.name == _OUTPUT), None)
    return entry is not None and (entry.mode, entry.oid) == (REGULAR, blob) and repo.objects.is_blob(blob)
