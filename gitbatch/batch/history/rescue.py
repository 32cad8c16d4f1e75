"""Rescue refs: they keep item commits that the target lacks, and the outputs of failed attempts."""

import itertools
from collections.abc import Iterable, Mapping

from msgspec import Struct

from gitbatch.agents.protocol import EarlierOutput
from gitbatch.batch.history.item_commits import as_item_commit
from gitbatch.batch.history.trailers import Kind, parse_trailers
from gitbatch.batch.model import BatchItem, ItemCommit
from gitbatch.limits.causes import TREATMENTS, Cause
from gitbatch.plan.model import ItemKey
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.refs.names import item_branches, rescue_ref, rescue_refs
from gitbatch.repo.refs.store import split_rescued_output
from gitbatch.repo.repository import Repository


def rescue_branches(repo: Repository, batch: str, branches: dict[str, str], merged: str) -> tuple[str, ...]:
    """Keeps the tips of item branches that are not in the history of `merged`; returns the refs that keep them.

    A branch that was cut off at the base merge of its item has nothing that is not kept by the branches of other items.
    """
    kept = []
    gone = repo.objects.find_missing(branches.values())  # pruned, so there is nothing to keep
    for branch, oid in branches.items():
        if oid in gone or is_base_merge(repo, batch, oid):
            continue
        if repo.git.run("merge-base", "--is-ancestor", oid, merged, check=False).status:
            ref = free_rescue_ref(repo, batch, branch.removeprefix(item_branches(batch)), oid)
            repo.point(ref, oid)
            kept.append(ref)
    return tuple(kept)


def is_base_merge(repo: Repository, batch: str, oid: str) -> bool:
    """Whether a commit is a merge of a batch: on an item's branch, the base of that item."""
    try:
        trailers = parse_trailers(repo.objects.read_commit(oid).message)
    except MissingObjectError:
        return False
    return trailers.kind is Kind.MERGE and trailers.batch == batch


def free_rescue_ref(repo: Repository, batch: str, name: str, oid: str) -> str:
    """Returns a rescue ref that keeps no other commit: an item's branch may be rescued at several starts."""
    names = itertools.chain((name,), (f"{name}.{count}" for count in itertools.count(2)))
    refs = (rescue_ref(batch, free) for free in names)
    return next(ref for ref in refs if repo.refs.read(ref) in {None, oid})


class Rescued(Struct, frozen=True):
    """The kept output of a failed attempt at an item."""

    ref: str
    attempt: int
    commit: ItemCommit
    cause: Cause
    """Why the attempt failed; if it did not change an earlier output, why that output was not accepted."""

    @property
    def output(self) -> EarlierOutput:
        """Returns the output as the next attempt gets it."""
        return EarlierOutput(self.commit.blob, may_stay=not TREATMENTS[self.cause].blames_output)


def find_rescued(repo: Repository, batch: str, item: BatchItem) -> Rescued | None:
    """Returns the kept output of the last attempt at an item that left one; None if none did."""
    return read_rescued(repo, batch, (item,)).get(item.key)


def read_rescued(repo: Repository, batch: str, items: Iterable[BatchItem]) -> Mapping[ItemKey, Rescued]:
    """Returns the kept outputs of the last attempts at items, by key."""
    refs = repo.refs.below(rescue_refs(batch))
    if not refs:
        return {}
    by_slug = {item.slug: item for item in items}
    found: dict[ItemKey, Rescued] = {}
    for ref, oid in refs.items():
        item = by_slug.get(_slug_of(batch, ref))
        rescued = read_rescue_ref(repo, batch, item, ref, oid) if item else None
        if item and rescued and (item.key not in found or found[item.key].attempt < rescued.attempt):
            found[item.key] = rescued
    return found


def rescued_refs(repo: Repository, batch: str, slugs: Iterable[str]) -> dict[str, str]:
    """Returns the refs that keep outputs of failed attempts at items."""
    wanted = frozenset(slugs)
    found = {r: oid for r, oid in repo.refs.below(rescue_refs(batch)).items() if _slug_of(batch, r) in wanted}
    return {ref: oid for ref, oid in found.items() if is_rescued_output(repo, batch, oid)}


def is_rescued_output(repo: Repository, batch: str, oid: str) -> bool:
    """Whether a commit keeps the output of a failed attempt of a batch."""
    try:
        trailers = parse_trailers(repo.objects.read_commit(oid).message)
    except MissingObjectError:
        return False
    return trailers.kind is Kind.RESCUE and trailers.batch == batch


def _slug_of(batch: str, ref: str) -> str:
    """Returns the slug of the item that a rescue ref belongs to; empty if it keeps no failed attempt's output."""
    parts = split_rescued_output(ref.removeprefix(rescue_refs(batch)))
    return parts[0] if parts else ""


def read_rescue_ref(repo: Repository, batch: str, item: BatchItem, ref: str, oid: str) -> Rescued | None:
    """Returns the output that a ref keeps; None if its commit is malformed or objects are missing.

    An agent without a sandbox may write refs too, so nothing is taken on trust.
    """
    parts = split_rescued_output(ref.removeprefix(rescue_refs(batch)))
    if parts is None or not is_rescued_output(repo, batch, oid):
        return None
    try:
        commit = repo.objects.read_commit(oid)
        trailers = parse_trailers(commit.message)
        made = as_item_commit(repo.objects, commit, item.output)
    except MissingObjectError:
        return None
    if (
        (trailers.group, trailers.rescued) != (item.group, item.output)
        or made is None
        or not repo.objects.is_blob(made.blob)
    ):
        return None
    said = trailers.first_value("Cause")
    return Rescued(ref, parts[1], made, Cause(said) if said in tuple(Cause) else Cause.FAILED)
