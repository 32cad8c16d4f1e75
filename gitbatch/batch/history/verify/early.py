"""Judging the early items of a merge: what they started from must hold in their group's turn (rule F2).

An early item started before the groups before its own were recorded. Its base may have item commits that the branch did
not have then. All that its side branch has must be in the first-parent story by then: what its base merged is merged by
a checkpoint (`checkpoint.py`), and the branch has the same files, in a commit from which the turn of its group may have
started: after the last checkpoint or review of the batch, with the user's own commits.
"""

from collections.abc import Iterator, Mapping

from gitbatch.batch.history.bases import find_below
from gitbatch.batch.history.trailers import Kind
from gitbatch.batch.history.verify.graph import History, Ours
from gitbatch.batch.history.verify.rules import Check, Complaints
from gitbatch.batch.history.verify.trees import Trees, format_paths
from gitbatch.plan.item_digest import digest_plan_item
from gitbatch.plan.matching import ItemPlace, match_place
from gitbatch.repo.objects.codec import TreeEntry


def judge_age(history: History, trees: Trees, ours: Ours, items: Mapping[str, str]) -> Complaints:
    """Checks when the items of a merge started: after the last checkpoint (rule P4), or early and from what holds.

    Args:
        history: the history.
        trees: reads its trees.
        ours: the merge of a group.
        items: the commits that it brings, by output.
    """
    last = history.last_group_checkpoint(ours.trailers.batch, ours.commit.parents[0])
    bases = {key: history.parents[oid][0] for key, oid in items.items() if history.parents[oid]}
    old = {key for key, base in bases.items() if last and not history.lines.may_hold(last, base)}
    if (
        last and old and history.ours[last].trailers.group >= ours.trailers.group
    ):  # what ran again is not early
        yield Check.MERGE_PARENTS, f"brings {format_paths(old)}, which started before the last checkpoint"
        return
    lines = {key: history.line_below(items[key]) for key in bases}
    rewritten = {line: _find_rewritten(history, trees, ours, line) for line in set(lines.values())}
    for key, line in lines.items():
        before = _find_earlier_groups(history, items[key])
        if key in old or before:
            yield from _judge_early(history, trees, ours, history.ours[items[key]], before)
        else:
            yield from _judge_reviewed(history, trees, ours, history.ours[items[key]], rewritten[line])


def judge_plan_item(history: History, trees: Trees, ours: Ours) -> Complaints:
    """Checks that what an item's commit says of its line in the plan is so in the plan that it started from."""
    stated, line = ours.trailers.first_value("Plan-Item"), history.line_below(ours.commit.oid)
    if stated and stated not in _digest_plan_items(history, trees, ours, line):
        yield Check.ITEM_EARLY, "states another digest of its item than that in the plan of its parent"


def _find_earlier_groups(history: History, oid: str) -> tuple[str, ...]:
    """Returns the item commits of earlier groups that an item stands on and that its commit of the branch does not have."""
    group, line = history.ours[oid].trailers.group, history.line_below(oid)
    below = (each for each in find_below((oid,), history.direct_items) if each in history.ours)
    return tuple(
        each
        for each in below
        if history.ours[each].trailers.group < group and not is_merged(history, each, line)
    )


def is_merged(history: History, oid: str, line: str) -> bool:
    """Returns true if a merge of a group on the line of a commit has brought an item's commit."""
    merges = (merge.commit.oid for merge in history.brought_by.get(oid, ()))
    return any(merge not in history.bases and history.lines.is_on(merge, line) for merge in merges)


def _judge_early(
    history: History, trees: Trees, merge: Ours, item: Ours, before: tuple[str, ...]
) -> Complaints:
    """Yields why an early item must not have been taken, by the newest commit that its group may have started from."""
    if not item.trailers.first_value("Plan-Item"):
        key = item.trailers.output
        yield Check.ITEM_EARLY, f"brings {key}, which started before its group and does not state its item"
        return
    problem = ""
    for at in _list_turn(history, merge):
        found = _find_staleness(history, trees, item, before, at)
        if (
            not found or at in history.ends
        ):  # the turn may have started on a part of the line that the clone lacks
            return
        problem = problem or found
    if problem:
        yield Check.ITEM_EARLY, f"brings {item.trailers.output}, which started early: {problem}"


def _judge_reviewed(
    history: History, trees: Trees, merge: Ours, item: Ours, rewritten: frozenset[str]
) -> Complaints:
    """Yields what an item read that a review has taken back, or made run again, between its start and its merge."""
    others = rewritten - {item.trailers.output}
    read = {path: blob for path, blob in item.trailers.context if path in others}
    if not read:
        return
    newest = frozenset[str]()
    for at in _list_turn(history, merge):
        entries = {path: trees.entry_at(at, path) for path in read}
        changed = frozenset(
            path for path, entry in entries.items() if getattr(entry, "oid", "") != read[path]
        )
        if not changed:
            return
        newest = newest or changed
    if newest:
        what = f"which read {format_paths(newest)} before a review changed that"
        yield Check.ITEM_EARLY, f"brings {item.trailers.output}, {what}"


def _find_rewritten(history: History, trees: Trees, merge: Ours, line: str) -> frozenset[str]:
    """Returns the paths that reviews, and what these made run again, have changed between a commit of the line and a merge.

    Once for all items of the merge that started from that commit: a group has as many merges as it is long.
    """
    found: set[str] = set()
    oid = merge.commit.parents[0]
    while oid != line and oid not in history.ends and history.parents[oid]:
        ours = history.ours.get(oid)
        kind = ours.trailers.kind if ours and ours.trailers.batch == merge.trailers.batch else None
        if ours and (kind is Kind.REVIEW or (kind is Kind.MERGE and ours.group != merge.group)):
            shared = trees.shared_files(oid, history.plan_of(merge))
            found.update(path for path in trees.find_changes(ours.commit).paths if not shared.may_write(path))
        oid = history.parents[oid][0]
    return frozenset(found)


def _list_turn(history: History, merge: Ours) -> Iterator[str]:
    """Yields the commits from which the turn of a merge's group may have started, from the newest."""
    oid = merge.commit.parents[0]
    while oid:
        ours = history.ours.get(oid)
        if not (ours and ours.trailers.kind is Kind.MERGE and ours.group == merge.group):
            yield oid
            if ours and ours.trailers.batch == merge.trailers.batch:
                return
        above = () if oid in history.ends else history.parents[oid]
        oid = above[0] if above else ""


def _find_staleness(history: History, trees: Trees, item: Ours, before: tuple[str, ...], at: str) -> str:
    """Returns what an early item started from and a commit of the branch does not have; empty if it has all."""
    base, plan = item.commit.parents[0], history.plan_of(item)
    if item.trailers.first_value("Plan-Item") not in _digest_plan_items(history, trees, item, at):
        return "the plan says something else about it since"
    with_it = _find_group_outputs(history, trees, item)
    shared = trees.shared_files(at, plan)
    changed = {
        path
        for path, blob in item.trailers.context
        if not shared.may_write(path)
        and getattr(with_it.get(path) or trees.entry_at(at, path), "oid", "") != blob
    }
    if changed:
        return f"the branch has another version of {format_paths(changed)}, which it read"
    paths = {history.ours[oid].trailers.output for oid in before} - with_it.keys()
    if other := {path for path in paths if trees.entry_at(at, path) != trees.entry_at(base, path)}:
        return f"the branch has another version of {format_paths(other)}, which its base has"
    return "it read the outputs of all groups before its own" if item.trailers.context_outputs else ""


def _find_group_outputs(history: History, trees: Trees, item: Ours) -> dict[str, TreeEntry | None]:
    """Returns what an item stands on of its own group: it is merged with it."""
    below = (oid for oid in find_below((item.commit.oid,), history.direct_items) if oid in history.ours)
    outputs = {
        history.ours[oid].trailers.output: oid for oid in below if history.ours[oid].group == item.group
    }
    return {path: trees.entry_at(oid, path) for path, oid in outputs.items()}


def _digest_plan_items(history: History, trees: Trees, item: Ours, at: str) -> frozenset[str]:
    """Returns the digests of an item in the plans that a commit may have."""
    said, plan = item.trailers, history.plan_of(item)
    place = ItemPlace(said.output, said.first_value("Group").partition(" ")[2], said.group)
    found = (match_place(place, writers) for writers in trees.find_writers(at, plan, said.output))
    return frozenset(digest_plan_item(item, group) for group, item in filter(None, found))
