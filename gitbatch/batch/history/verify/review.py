"""Judging a review: it decides about items that the history has as they are, and changes only what it decides.

The decisions are judged by what stood before: checkpoints and earlier reviews of the batch on the same line.
"""

from collections import Counter
from collections.abc import Iterator, Mapping

from msgspec import Struct

from gitbatch.batch.history.decisions import DecisionKind, ItemDecision, ItemName
from gitbatch.batch.history.put_back import BroughtVersion, unwind_versions
from gitbatch.batch.history.review_message import (
    describe_decisions,
    describe_taken_back,
    parse_review_message,
)
from gitbatch.batch.history.standings import ItemStanding
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
from gitbatch.project.edits import remove_contributions


class RevertedItem(Struct, frozen=True):
    """An item that a review takes back, with the commits that brought its output."""

    decision: ItemDecision
    commits: tuple[str, ...]
    """Empty: the clone does not have them."""


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
    if not decisions or not _is_each_once(decisions):
        yield Check.REVIEW_ITEMS, "does not decide about items, each once"
        return
    chosen = Counter(each.item for each in ours.trailers.chosen_agents)
    if chosen - Counter(decision.item for decision in decisions if decision.agent):
        yield Check.REVIEW_ITEMS, "names an agent for an item that it does not make run again, or several"
    if parent in history.lines.cut:  # what it decides about may be on a part of the line that the clone lacks
        return
    yield from _judge_number(history, ours)
    standings = read_standings(history, ours.trailers.batch, parent)
    yield from _judge_decisions(trees, ours, decisions, standings)
    changes = trees.find_changes(commit)
    shared = trees.shared_files(parent, history.plan_of(ours))
    taken = tuple(
        RevertedItem(d, _find_versions(history, d.item, standings[d.item]))
        for d in decisions
        if d.kind.puts_back and d.item in standings and standings[d.item].brought_by
    )
    yield from _judge_changes(trees, ours, shared, changes, taken)
    for project in shared.projects:
        yield from _judge_plan(history, trees, ours, project, decisions)
        yield from judge_texts(trees, ours, project, changes, is_review=True)
        if len(shared.projects) == 1 and all(each.commits for each in taken):
            said = (describe_decisions(decisions), *_list_withdrawn(history, taken))
            yield from judge_log(trees, ours, project, said)
            yield from _judge_artifacts(history, trees, ours, project, taken)


def _is_each_once(decisions: tuple[ItemDecision, ...]) -> bool:
    """Whether decisions are about different items; one that is taken back may run again by the same review."""
    found: dict[ItemName, list[DecisionKind]] = {}
    for decision in decisions:
        found.setdefault(decision.item, []).append(decision.kind)
    return all(len(k) == 1 or k == [DecisionKind.UNDO, DecisionKind.RETRY] for k in found.values())


def _list_withdrawn(history: History, taken: tuple[RevertedItem, ...]) -> Iterator[str]:
    """Yields the lines of the log about the decisions of agents whose items are taken back."""
    for each in taken:
        texts = (text for oid in each.commits for text in history.ours[oid].trailers.values_of("Decision"))
        yield from describe_taken_back(each.decision, texts)


def _judge_number(history: History, ours: Ours) -> Complaints:
    """Checks that a review names the last checkpoint below it, and the plan of its batch if a checkpoint names one.

    Those of gitbatch 0.1 do not.
    """
    batch = ours.trailers.batch
    last = history.last_group_checkpoint(batch, ours.commit.parents[0])
    if last is None or history.ours[last].trailers.position != ours.trailers.position:
        yield Check.REVIEW_PLACE, "does not name the last checkpoint of its batch below it"
    if ours.trailers.plan != history.plans.get(batch, ours.trailers.plan):
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
    trees: Trees, ours: Ours, shared: SharedFiles, changes: Changes, taken: tuple[RevertedItem, ...]
) -> Complaints:
    """Checks that a review changes shared files, and puts back the paths that it says, and nothing else."""
    if changes.malformed:
        yield Check.TREE, f"{format_paths(changes.malformed)} is not a folder that git writes"
    own = {path for p in shared.projects for path in p.shared_files}
    paths = dict.fromkeys(each.decision.item.output for each in taken)
    if strays := changes.paths.keys() - own - paths.keys():
        yield Check.REVIEW_CHANGES, f"changes {format_paths(strays)}, which it does not decide"
    for path in paths:
        items = [each.commits for each in taken if each.decision.item.output == path]
        if not all(items):
            continue
        versions = (tuple(_as_version(trees, oid, path) for oid in commits) for commits in items)
        before = unwind_versions(trees.entry_at(ours.commit.parents[0], path), versions)
        if before is None:
            yield Check.REVIEW_CHANGES, f"takes {path} back over a version that the branch got meanwhile"
        elif trees.entry_at(ours.commit.oid, path) != before.entry:
            yield Check.REVIEW_CHANGES, f"does not put {path} back to what it was before its item"


def _find_versions(history: History, item: ItemName, standing: ItemStanding) -> tuple[str, ...]:
    """Returns the commits that brought an item's output; none if the clone does not have all of them."""
    brought = [find_brought_items(history, history.ours[oid]) for oid in standing.brought_by]
    found = [items[item.output] for items in brought if items and item.output in items]
    return tuple(found) if len(found) == len(brought) else ()


def _as_version(trees: Trees, oid: str, path: str) -> BroughtVersion:
    return BroughtVersion(trees.base_entry(oid, path), trees.entry_at(oid, path))


def _judge_artifacts(
    history: History, trees: Trees, ours: Ours, project: Project, taken: tuple[RevertedItem, ...]
) -> Complaints:
    """Checks that the artifacts lose exactly the lines of the items that are taken back."""
    parent, expected = ours.commit.parents[0], dict[str, bytes]()
    for each in taken:
        title = history.group_titles[ours.trailers.batch, each.decision.item.group].partition(" ")[2]
        said = [t for oid in each.commits for t in history.ours[oid].trailers.values_of("Contribution")]
        given = [(project.find_artifact(name), text) for name, _, text in (t.partition(": ") for t in said)]
        for path in dict.fromkeys(path for path, _ in given if path):
            source = expected.get(path, trees.read_file(parent, path))
            texts = tuple(text for other, text in given if other == path)
            expected[path] = remove_contributions(source, title, texts).source
    for path in project.artifacts:
        old = trees.read_file(parent, path)
        if trees.read_file(ours.commit.oid, path) != expected.get(path, old):
            yield Check.CHECKPOINT_TEXTS, f"takes other lines out of {path} than those of its items"


def _judge_plan(
    history: History, trees: Trees, ours: Ours, project: Project, decisions: tuple[ItemDecision, ...]
) -> Complaints:
    """Checks that exactly the boxes of what is sent back or taken back are opened, and those of criteria that name it."""
    parent, path = ours.commit.parents[0], project.plan_path
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
