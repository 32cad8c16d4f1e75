"""Merging the item branches of a group: the tip's tree plus one blob for each item, built as objects.

Outputs are disjoint, so there is nothing to merge in the usual sense: no checkout, no merge driver, no index.
"""

import re

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.messages import merge_message, parse_item_message, parse_spent
from gitbatch.batch.model import BatchGroup, BatchItem, ItemStatus, Outcome
from gitbatch.batch.running import Run
from gitbatch.errors import GitbatchError
from gitbatch.repo.objects import REGULAR, MissingObjectError, Objects
from gitbatch.repo.repository import Repository
from gitbatch.text import plain

PARENTS = 16
"""Item branches in one merge: more can't be read in a graph."""


class Merged(Struct, frozen=True):
    """The merge commits of a group, and the outcomes after it."""

    commit: str
    """The last merge commit; the tip itself if there was nothing to merge."""
    tree: str
    outcomes: tuple[Outcome, ...]


def item_blob(objects: Objects, commit: str, output: str) -> str | None:
    """The blob that an item's commit puts at its output: if it has one parent and changes that path alone."""
    found = objects.commit(commit)
    if len(found.parents) != 1:
        return None
    changes = objects.changes(objects.tree_of(found.parents[0]), found.tree)
    change = next(changes, None)
    if change is None or change.path != output or change.new is None or change.new.mode != REGULAR:
        return None
    return change.new.oid if next(changes, None) is None else None


def finished(repo: Repository, batch: str, item: BatchItem, oid: str | None) -> Outcome | None:
    """The outcome that a commit on an item's branch stands for; None if it is not the item's one-file commit.

    Whoever moved the branch there: what is taken for done is complete, one file, and the item's own.
    """
    try:
        commit = repo.objects.commit(oid or "")
        trailers, reply = parse_item_message(commit.message)
        if trailers.first("Batch") != batch or trailers.first("Item") != item.key:
            return None
        blob = item_blob(repo.objects, commit.oid, item.key)
    except MissingObjectError:  # pruned before its branch had it
        return None
    if blob is None or not repo.objects.exists(blob):
        return None
    took = re.fullmatch(r"[0-9]{1,9}\.[0-9]", trailers.first("Seconds"))
    tries = re.fullmatch(r"[1-9][0-9]{0,5}", trailers.first("Attempt"))
    waited = re.fullmatch(r"[0-9]{1,9}\.[0-9]", trailers.first("Waited"))
    attempts = int(tries[0]) if tries else 1
    return Outcome(
        item,
        ItemStatus.SUCCEEDED,
        reply,
        commit.oid,
        seconds=float(took[0]) if took else 0.0,
        attempts=attempts,
        waited=float(waited[0]) if waited else 0.0,
        spent=parse_spent(trailers, attempts),
    )


def merge_items(run: Run, group: BatchGroup, outcomes: tuple[Outcome, ...], tip: str) -> Merged:
    """Merge what succeeded, in plan order, into `tip`. Nothing moves: what is returned are objects."""
    objects = run.repo.objects
    tree = objects.commit(tip).tree
    judged = tuple(_conflict(run.repo, outcome, tree) for outcome in outcomes)
    wanted = [outcome for outcome in judged if outcome.succeeded]
    commit = tip
    for start in range(0, len(wanted), PARENTS):
        part = tuple(wanted[start : start + PARENTS])
        commits = tuple(outcome.commit or "" for outcome in part)
        blobs = {o.item.key: _require_blob(objects, o) for o in part}
        tree = objects.write_tree(tree, blobs)
        who = run.committer()
        commit = objects.write_commit(
            tree, (commit, *commits), merge_message(run.batch.record, group, part), who, who
        )
    return Merged(commit, tree, judged)


def _require_blob(objects: Objects, outcome: Outcome) -> str:
    blob = item_blob(objects, outcome.commit or "", outcome.item.key)
    if blob is None:
        raise GitbatchError(
            f"commit {outcome.commit} is not the one-file commit of {outcome.item.key}",
            "nothing was merged; look at the commit, then run gitbatch abort",
        )
    return blob


def _conflict(repo: Repository, outcome: Outcome, tree: str) -> Outcome:
    """The outcome, turned into a conflict if the target changed the output's path since the item's base."""
    if not outcome.succeeded or outcome.commit is None:
        return outcome
    base = repo.objects.commit(outcome.commit).parents[0]
    path = outcome.item.key
    was, now = (repo.objects.entry(t, path) for t in (repo.objects.tree_of(base), tree))
    if was == now and not _in_the_way(repo.objects, tree, path):
        return outcome
    reason = plain(f"{path} was changed on the branch while the item ran; its work is kept on its branch")
    return replace(outcome, status=ItemStatus.CONFLICTED, reason=reason)


def _in_the_way(objects: Objects, tree: str, path: str) -> bool:
    """Whether a file stands where a path needs a folder."""
    parts = path.split("/")
    above = (objects.entry(tree, "/".join(parts[:end])) for end in range(1, len(parts)))
    return any(entry is not None and not entry.is_tree for entry in above)
