"""Merging the item branches of a group: the tip's tree plus one blob for each item, built as objects.

Outputs are disjoint, so there is nothing to merge in the usual sense: no checkout, no merge driver, no index. An item that
stands on others (`base.py`) is merged only with all of them.
"""

from collections.abc import Callable, Collection
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.history.bases import BaseReader, find_unmerged
from gitbatch.batch.history.item_commits import PARENTS
from gitbatch.batch.history.messages import render_merge_message
from gitbatch.batch.item.scheduled import CommitContext
from gitbatch.batch.model import BatchGroup, ItemStatus, Outcome
from gitbatch.paths import first_non_folder
from gitbatch.plan.model import ItemKey
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text


class Merged(Struct, frozen=True):
    """The merge commits of a group, and the outcomes after it."""

    commit: str
    """The last merge commit; the tip itself if there was nothing to merge."""
    tree: str
    outcomes: tuple[Outcome, ...]
    unsound: frozenset[ItemKey] = frozenset()
    """The items that stand on an item commit that is not merged: then nothing has been merged."""


def merge_items(
    repo: Repository,
    commits: CommitContext,
    group: BatchGroup,
    outcomes: tuple[Outcome, ...],
    tip: str,
    reader: BaseReader,
) -> Merged:
    """Merges the items that succeeded, in plan order, into `tip`. Only objects are written: no ref moves.

    `reader`: reads what the items stand on.
    """
    objects = repo.objects
    tree = objects.read_commit(tip).tree
    judged = tuple(_mark_conflict(objects, outcome, tree) for outcome in outcomes)
    if unsound := find_unsound(judged, reader, partial(find_unmerged, repo, tip=tip)):
        return Merged(tip, tree, judged, unsound)
    wanted = [(outcome, outcome.commit) for outcome in judged if outcome.succeeded and outcome.commit]
    last = tip
    for start in range(0, len(wanted), PARENTS):
        part, made = zip(*wanted[start : start + PARENTS], strict=True)
        tree = objects.write_tree(
            tree, {o.item.output: commit.blob for o, commit in zip(part, made, strict=True)}
        )
        message = render_merge_message(commits.batch.record, group, part)
        write = objects.write_commit if commits.signs else objects.write_unsigned
        last = write(tree, (last, *made), message, commits.user, commits.user)
    return Merged(last, tree, judged)


def find_unsound(
    outcomes: tuple[Outcome, ...],
    reader: BaseReader,
    select_unmerged: Callable[[list[str]], Collection[str]] = frozenset,
) -> frozenset[ItemKey]:
    """Returns the items that succeeded on an item commit that is not merged with them, nor before them.

    They have read a file that history will not have, and their merge would bring its commit along.

    Args:
        outcomes: of a group.
        reader: reads what they stand on.
        select_unmerged: returns those of some commits that are not merged before the group; all of them if not given.
    """
    merged = {str(o.commit): o.item.key for o in outcomes if o.succeeded and o.commit}
    reader.read_items(merged)
    above: dict[str, list[str]] = {}
    for commit in merged:
        for oid in reader.direct(commit):
            above.setdefault(oid, []).append(commit)
    to_do = list(select_unmerged([oid for oid in above if oid not in merged]))
    found: set[ItemKey] = set()
    while to_do:
        for commit in above.get(to_do.pop(), ()):
            if merged[commit] not in found:
                found.add(merged[commit])
                to_do.append(commit)
    return frozenset(found)


def _mark_conflict(objects: Objects, outcome: Outcome, tree: str) -> Outcome:
    """Returns the outcome, as a conflict if the target branch changed the output's path since the item's base."""
    if not outcome.succeeded or outcome.commit is None:
        return outcome
    path = outcome.item.output
    was, now = (objects.find_entry(t, path) for t in (objects.tree_of(outcome.commit.base), tree))
    if was == now and not _is_in_the_way(objects, tree, path):
        return outcome
    reason = clean_text(
        f"{path} was changed on the branch while the item ran; its commit is kept on its branch"
    )
    return replace(outcome, status=ItemStatus.CONFLICTED, reason=reason)


def _is_in_the_way(objects: Objects, tree: str, path: str) -> bool:
    """Whether a file is where a path needs a folder."""

    def is_folder(above: str) -> bool | None:
        entry = objects.find_entry(tree, above)
        return None if entry is None else entry.is_tree

    return first_non_folder(path, is_folder) is not None
