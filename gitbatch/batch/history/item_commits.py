"""Reading item commits: whether a commit is the commit of a finished item, and the outcome that it records."""

import re

from msgspec.structs import replace

from gitbatch.batch.history.item_message import parse_item_message, parse_spent
from gitbatch.batch.history.trailers import Kind, Trailers, parse_trailers
from gitbatch.batch.model import BatchItem, ItemCommit, ItemStatus, Outcome
from gitbatch.repo.objects.codec import REGULAR, Commit, TreeEntry, sort_entries
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text

PARENTS = 16
"""The most item branches in one merge: a graph with more is hard to read."""


def as_item_commit(
    objects: Objects, commit: Commit, output: str, *, is_stored: bool = False
) -> ItemCommit | None:
    """Returns a commit as an item's commit if it has one parent and changes only the output; else None.

    `is_stored`: its trees are known to exist, so those that are cached are not read again.

    Raises:
        MissingObjectError: one of its trees is missing.
    """
    if len(commit.parents) != 1:
        return None
    old, trees = objects.tree_of(commit.parents[0]), [commit.tree]
    *folders, name = output.split("/")
    for folder in folders:
        was, now = _only_difference(objects, old, trees[-1], folder, is_stored=is_stored)
        if now is None or not now.is_tree or (was and not was.is_tree):
            return None
        old = was.oid if was else ""
        trees.append(now.oid)
    was, now = _only_difference(objects, old, trees[-1], name, is_stored=is_stored)
    if now is None or now.mode != REGULAR or (was and was.is_tree):
        return None
    plan_item = parse_trailers(commit.message).plan_item if "Gitbatch-Plan-Item" in commit.message else ""
    return ItemCommit(commit.oid, commit.parents[0], tuple(trees), now.oid, plan_item)


def _only_difference(
    objects: Objects, old: str, new: str, name: str, *, is_stored: bool
) -> tuple[TreeEntry | None, TreeEntry | None]:
    """Returns the old and the new entry of a name in a folder, if that is the only difference; else twice None."""
    before = objects.read_folder(old) if old else {}
    if is_stored:
        stored = objects.read_folder(new)
        was, now = before.get(name), stored.get(name)
        return (was, now) if now and was != now and stored == {**before, name: now} else (None, None)
    after = objects.read_tree(new)  # read again, not from the cache: the tree must still exist
    was, now = before.get(name), next((entry for entry in after if entry.name == name), None)
    if now is None or was == now:
        return None, None
    # Compared in order: a tree that git would not have written, such as one with a name twice, is not ours.
    wanted = sort_entries({**before, name: now}.values())
    return (was, now) if after == tuple(wanted) else (None, None)


def _is_of_item(trailers: Trailers, batch: str, item: BatchItem) -> bool:
    """Whether trailers name an item: its path alone does not, as a later group's item may write it too."""
    named = (batch, item.group, item.output)
    return trailers.kind is Kind.ITEM and (trailers.batch, trailers.group, trailers.output) == named


def read_item_commit(repo: Repository, batch: str, item: BatchItem, oid: str | None) -> Outcome | None:
    """Returns the outcome that a commit on an item's branch records; None if it is not the item's one-file commit.

    The commit may come from any process. What counts as done is complete, changes one file, and names the item.
    """
    try:
        commit = repo.objects.read_commit(oid or "")
        found = parse_item_commit(batch, item, commit)
        made = as_item_commit(repo.objects, commit, item.output) if found else None
    except MissingObjectError:  # pruned before the branch pointed to it
        return None
    if found is None or made is None or not repo.objects.is_blob(made.blob):
        return None
    return replace(found, commit=made)


def check_new_commit(repo: Repository, batch: str, item: BatchItem, commit: Commit) -> ItemCommit | None:
    """Returns a commit that this process has just stored as an item's commit; None if `read_item_commit` would return None.

    Its parts are checked as they were stored, and git is asked one question, not one for each: whether all of them still
    exist and have the contents that their ids name. Another process may have put a file with such a name there before.
    """
    if not _is_of_item(parse_trailers(commit.message), batch, item):
        return None
    try:
        made = as_item_commit(repo.objects, commit, item.output, is_stored=True)
    except MissingObjectError:  # pruned, and not cached any more
        return None
    if made is None:
        return None
    parts = {made: "commit", **dict.fromkeys(made.trees, "tree"), made.blob: "blob"}
    return made if repo.objects.are_stored(parts) else None


def parse_item_commit(batch: str, item: BatchItem, commit: Commit) -> Outcome | None:
    """Returns the outcome that the message of a commit records; None if it does not name the item.

    Whether the commit changes one file, and whether its objects exist, is not known: the outcome has no commit.
    """
    trailers, reply = parse_item_message(commit.message)
    if not _is_of_item(trailers, batch, item):
        return None
    took = re.fullmatch(r"[0-9]{1,9}\.[0-9]", trailers.first_value("Seconds"))
    tries = re.fullmatch(r"[1-9][0-9]{0,5}", trailers.first_value("Attempt"))
    waited = re.fullmatch(r"[0-9]{1,9}\.[0-9]", trailers.first_value("Waited"))
    attempts = int(tries[0]) if tries else 1
    return Outcome(
        item,
        ItemStatus.SUCCEEDED,
        reply,
        seconds=float(took[0]) if took else 0.0,
        attempts=attempts,
        waited=float(waited[0]) if waited else 0.0,
        spent=parse_spent(trailers, attempts),
        missing=trailers.missing,
        checks=trailers.checks,
        host=clean_text(trailers.first_value("Host")),
    )
