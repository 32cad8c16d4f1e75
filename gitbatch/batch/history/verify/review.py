"""Judging a review: it decides about items that the history has as they are, and changes only what it decides.

The decisions are judged by what stood before: checkpoints and earlier reviews of the batch on the same line.
"""

from collections.abc import Mapping

from gitbatch.batch.history.decided import ItemStanding
from gitbatch.batch.history.decisions import DecisionKind, ItemDecision, ItemName
from gitbatch.batch.history.review_message import describe_decisions, parse_review_message
from gitbatch.batch.history.trailers import Kind
from gitbatch.batch.history.verify.checkpoint import find_brought_items
from gitbatch.batch.history.verify.graph import History, Ours
from gitbatch.batch.history.verify.revision import read_standings
from gitbatch.batch.history.verify.rules import Check, Complaints
from gitbatch.batch.history.verify.texts import judge_log, judge_texts
from gitbatch.batch.history.verify.trees import Changes, Trees, format_paths
from gitbatch.guard.shared import SharedFiles
from gitbatch.plan.matching import ItemPlace, match_items
from gitbatch.plan.model import Plan
from gitbatch.project.control import Project
from gitbatch.repo.objects.codec import TreeEntry

PutBack = tuple[TreeEntry | None, TreeEntry | None]
"""What was at an item's path before it, and what the item left there."""


def judge_review(history: History, trees: Trees, ours: Ours) -> Complaints:
    """Yields the findings about a review."""
    commit = ours.commit
    if len(commit.parents) != 1:
        yield Check.REVIEW_PLACE, f"has {len(commit.parents)} parents; a review has one"
        return
    parent = commit.parents[0]
    kind = history.kind_of(parent)
    if kind in {Kind.ITEM, Kind.MERGE, Kind.RESCUE}:
        yield Check.REVIEW_PLACE, f"stands on a commit of the kind {kind}, not on the branch"
    decisions = parse_review_message(commit.message)
    if not decisions or len({decision.item for decision in decisions}) < len(decisions):
        yield Check.REVIEW_ITEMS, "does not decide about items, each once"
        return
    if parent in history.lines.cut:  # what it decides about may be on a part of the line that the clone lacks
        return
    yield from _judge_number(history, ours)
    standings = read_standings(history, ours.trailers.batch, parent)
    yield from _judge_decisions(trees, ours, decisions, standings)
    changes = trees.find_changes(commit)
    shared = trees.shared_files(parent, history.plan_of(ours))
    put_back = {
        d.item.output: _find_entries(history, trees, d.item, standings[d.item])
        for d in decisions
        if d.kind.puts_back and d.item in standings and standings[d.item].brought_by
    }
    yield from _judge_changes(trees, ours, shared, changes, put_back)
    for project in shared.projects:
        yield from _judge_plan(history, trees, ours, project, decisions)
        yield from judge_texts(trees, ours, project, changes)
        if len(shared.projects) == 1:
            yield from judge_log(trees, ours, project, (describe_decisions(decisions),))


def _judge_number(history: History, ours: Ours) -> Complaints:
    """Checks that a review names the last checkpoint below it, and the plan of its batch."""
    batch = ours.trailers.batch
    last = history.last_group_checkpoint(batch, ours.commit.parents[0])
    if last is None or history.ours[last].trailers.position != ours.trailers.position:
        yield Check.REVIEW_PLACE, "does not name the last checkpoint of its batch below it"
    if ours.trailers.plan != history.plans.get(batch):
        yield Check.REVIEW_PLACE, f"is of the plan {ours.trailers.plan}, and its batch is of another"


def _judge_decisions(
    trees: Trees,
    ours: Ours,
    decisions: tuple[ItemDecision, ...],
    standings: Mapping[ItemName, ItemStanding],
) -> Complaints:
    """Checks that each item has a checkpoint, and that its path is as the decision says."""
    for decision in decisions:
        path, standing = decision.item.output, standings.get(decision.item)
        if standing is None:
            yield Check.REVIEW_ITEMS, f"decides about {path}, which no checkpoint of its batch below it names"
            continue
        if not decision.kind.reopens and not standing.brought_by:
            yield (
                Check.REVIEW_ITEMS,
                f"says that {path} is {decision.kind.word}, of which nothing is in history",
            )
        entry = trees.entry_at(ours.commit.parents[0], path)
        if (entry.oid if entry else None) != decision.blob:
            yield Check.REVIEW_ITEMS, f"decides about another version of {path} than its parent has"


def _judge_changes(
    trees: Trees, ours: Ours, shared: SharedFiles, changes: Changes, put_back: Mapping[str, PutBack | None]
) -> Complaints:
    """Checks that a review changes plan, status and log, and puts back the paths that it says, and nothing else."""
    if changes.malformed:
        yield Check.TREE, f"{format_paths(changes.malformed)} is not a folder that git writes"
    own = {path for p in shared.projects for path in (p.task, p.status, p.decisions)}
    if strays := changes.paths.keys() - own - put_back.keys():
        yield Check.REVIEW_CHANGES, f"changes {format_paths(strays)}, which it does not decide"
    for path, found in put_back.items():
        if found is None:
            continue
        before, last = found
        if trees.entry_at(ours.commit.parents[0], path) != last:
            yield Check.REVIEW_CHANGES, f"takes {path} back over a version that the branch got meanwhile"
        if trees.entry_at(ours.commit.oid, path) != before:
            yield Check.REVIEW_CHANGES, f"does not put {path} back to what it was before its item"


def _find_entries(history: History, trees: Trees, item: ItemName, standing: ItemStanding) -> PutBack | None:
    """Returns what was at an item's path before it, and what the item left there; None if the clone does not have that."""
    brought = [find_brought_items(history, history.ours[oid]) for oid in standing.brought_by]
    commits = [items[item.output] for items in brought if items and item.output in items]
    if not commits:
        return None
    return trees.base_entry(commits[0], item.output), trees.entry_at(commits[-1], item.output)


def _judge_plan(
    history: History, trees: Trees, ours: Ours, project: Project, decisions: tuple[ItemDecision, ...]
) -> Complaints:
    """Checks that exactly the boxes of what is sent back or taken back are opened, and those of criteria that name it."""
    parent, path = ours.commit.parents[0], project.task
    old, new = trees.read_file(parent, path), trees.read_file(ours.commit.oid, path)
    plan = trees.read_plan_at(parent, project)
    titles = {
        d.item.group: history.group_titles.get((ours.trailers.batch, d.item.group), "") for d in decisions
    }
    places = {
        d.item: ItemPlace(d.item.output, titles[d.item.group].partition(" ")[2], d.item.group)
        for d in decisions
        if d.kind is not DecisionKind.APPROVE
    }
    expected = bytearray(old)
    for offset in _find_opened(plan, places, tick_all=project.config.batch.tick_dod):
        expected[offset : offset + 1] = b" "
    if expected != new:
        yield Check.REVIEW_PLAN, f"changes {path} otherwise than by opening the boxes that it decides"


def _find_opened(plan: Plan, places: Mapping[ItemName, ItemPlace], *, tick_all: bool) -> set[int]:
    """Returns the offsets of the boxes that are to be opened: of items, and of the criteria that name them."""
    items = [item for _, item in match_items(places, plan).values() if item.done]
    numbers = {number for item in items for number in item.criteria}
    criteria = (c for c in plan.criteria if tick_all and c.done and c.number in numbers)
    return {item.box.offset for item in items} | {criterion.box.offset for criterion in criteria}
