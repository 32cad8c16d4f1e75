"""Judging a merge: it merges item commits of its group, each once, and changes nothing else."""

from gitbatch.batch.history.bases import find_below
from gitbatch.batch.history.item_commits import PARENTS
from gitbatch.batch.history.trailers import Kind
from gitbatch.batch.history.verify.early import is_merged, judge_age
from gitbatch.batch.history.verify.graph import History, Ours
from gitbatch.batch.history.verify.rules import Check, Complaints
from gitbatch.batch.history.verify.trees import Trees, format_paths, is_regular


def judge_merge(history: History, trees: Trees, ours: Ours) -> Complaints:
    """Yields the findings about a merge."""
    commit, is_recorded = ours.commit, history.is_followed_in_group(ours.commit.oid)
    is_base = commit.oid in history.bases
    if not is_recorded and not is_base:
        yield Check.MERGE_PLACE, "no merge or checkpoint of its group follows it, and no item stands on it"
    elif not is_recorded and history.is_on_line(commit.oid):
        yield Check.MERGE_PLACE, "stands on the line of the branch, but no checkpoint of its group follows it"
    items = _brought_items(history, ours, same_group=is_recorded)
    if not 1 <= len(items) <= PARENTS or len(items) != len(commit.parents) - 1:
        yield (
            Check.MERGE_PARENTS,
            f"does not merge 1 to {PARENTS} different items of its batch and group alone",
        )
        return
    yield from _judge_first_parent(history, ours)
    if is_recorded:
        yield from _judge_repetition(history, ours, items)
        yield from judge_age(history, trees, ours, items)
    else:
        yield from _judge_heads(history, items)
    if not _is_in_a_row(history, trees, ours, items):
        yield from _judge_tree(history, trees, ours, items)


def _brought_items(history: History, ours: Ours, *, same_group: bool) -> dict[str, str]:
    """Returns the items that a merge brings: key → commit."""
    found = {}
    for oid in ours.commit.parents[1:]:
        item = history.ours.get(oid)
        if item is None or item.trailers.kind is not Kind.ITEM or item.trailers.batch != ours.trailers.batch:
            continue
        if not same_group or item.group == ours.group:
            found[item.trailers.output] = oid
    return found


def _judge_first_parent(history: History, ours: Ours) -> Complaints:
    first = ours.commit.parents[0]
    kind = history.kind_of(first)
    if ours.commit.oid in history.bases and kind is Kind.MERGE and first not in history.bases:
        yield Check.MERGE_PARENTS, "stands on a merge of a group whose checkpoint comes later"
    if kind in {Kind.ITEM, Kind.RESCUE}:
        yield Check.MERGE_PARENTS, f"stands on the commit of an {kind}, not on the branch"
    below = history.ours.get(first)
    if below and kind is Kind.MERGE and below.group == ours.group and len(below.commit.parents) <= PARENTS:
        yield (
            Check.MERGE_PARENTS,
            f"the merge below it has room for its items: {PARENTS} come in by one merge",
        )


def _judge_repetition(history: History, ours: Ours, items: dict[str, str]) -> Complaints:
    for key, oid in items.items():
        merges = (
            merge.commit.oid
            for merge in history.brought_by[oid]
            if history.is_followed_in_group(merge.commit.oid)
        )
        if ours.commit.oid in history.lines.find_repeated(merges):
            yield Check.MERGE_REPEATED, f"brings the commit of {key}, which an earlier merge has brought"


def _is_in_a_row(history: History, trees: Trees, ours: Ours, items: dict[str, str]) -> bool:
    """Whether a base merge has the tree of its one item, on the same commit of the branch: that tree is judged there.

    So a row of items is judged in linear time.
    """
    commit, (head, *others) = ours.commit, items.values()
    if others or commit.oid not in history.bases:
        return False
    is_on_same = history.line_below(head) == commit.parents[0]
    return is_on_same and trees.tree_of(head) == trees.tree_of(commit.oid)


def _judge_heads(history: History, items: dict[str, str]) -> Complaints:
    """Checks that a base merge has no item as its parent that another of its items stands on."""
    below = find_below(items.values(), history.direct_items)
    if doubled := {path for path, oid in items.items() if oid in below}:
        yield Check.MERGE_PARENTS, f"merges {format_paths(doubled)}, on which another of its items stands"


def _find_seen(history: History, ours: Ours, items: dict[str, str]) -> dict[str, str]:
    """Returns the items whose outputs a merge adds: for a base merge also those that its items stand on."""
    if ours.commit.oid not in history.bases:
        return items
    below = find_below(items.values(), history.direct_items)
    return {history.ours[oid].trailers.output: oid for oid in below if oid in history.ours} | items


def _judge_tree(history: History, trees: Trees, ours: Ours, items: dict[str, str]) -> Complaints:
    """Checks that the tree is the first parent's plus the items' files, and that no file replaces a user's version."""
    first = ours.commit.parents[0]
    changes = trees.find_changes(ours.commit)
    if changes.malformed:
        yield Check.TREE, f"{format_paths(changes.malformed)} is not a folder that git writes"
    if taken := trees.shared_files(first, history.plan_of(ours)).select_shared(changes.paths):
        yield Check.MERGE_SHARED, f"changes {format_paths(taken)}"
    items = _find_seen(history, ours, items)
    blobs = {key: trees.entry_at(oid, key) for key, oid in items.items()}
    wrong = {p for p, new in changes.paths.items() if not is_regular(new) or new != blobs.get(p)}
    # A folder of thousands of files is read for none of them that the merge adds.
    missing = items.keys() - changes.paths.keys()
    wrong |= {key for key in missing if trees.entry_at(ours.commit.oid, key) != blobs[key]}
    if wrong - taken:
        yield Check.MERGE_TREE, f"{format_paths(wrong - taken)} is neither its first parent's nor its item's"
    there = {
        key
        for key, oid in items.items()
        if ours.commit.oid in history.bases and is_merged(history, oid, first)
    }
    based = {
        k: history.parents[oid][0] for k, oid in items.items() if history.parents[oid] and k not in there
    }
    was = {key: trees.entry_at(first, key) for key in missing} | changes.before
    over = {key for key, base in based.items() if trees.entry_at(base, key) != was[key]}
    if over:
        yield Check.MERGE_OVER, f"brings {format_paths(over)} over a version that the branch got meanwhile"
