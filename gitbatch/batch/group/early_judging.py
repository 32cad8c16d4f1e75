"""Judging items that started before their group: whether what they were written from is what the branch has (rule F2).

Runs on the git thread. Of what an item's base has in addition to the branch, each item commit must be merged by now, with
its file as it was; or be taken together with the item. `planning/early/staleness.py` compares the values.
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial

from gitbatch.batch.group.checkpoint import Unsound
from gitbatch.batch.group.set_aside import set_aside
from gitbatch.batch.history.bases import BaseReader, find_below, find_unmerged
from gitbatch.batch.history.ledger import Ledger
from gitbatch.batch.history.trailers import parse_trailers
from gitbatch.batch.model import ItemCommit, Outcome, Record
from gitbatch.batch.planning.early.staleness import EarlyReading, Staleness, judge_reading, name_reading
from gitbatch.batch.planning.project_state import ProjectState, read_project_state
from gitbatch.batch.planning.risks import mark_filtered
from gitbatch.limits.causes import Cause
from gitbatch.paths import quote_path
from gitbatch.plan.item_digest import digest_plan_item
from gitbatch.plan.matching import PlannedItem
from gitbatch.plan.model import ItemKey
from gitbatch.project.config import CONFIG_FILE
from gitbatch.project.manifest import ManifestBuilder
from gitbatch.repo.repository import Repository
from gitbatch.repo.snapshot import TreeSnapshot
from gitbatch.text import CleanText, clean_text, list_names


@dataclass(slots=True)
class EarlyJudge:
    """Judges early items on one commit of the branch."""

    repo: Repository
    state: ProjectState
    """Of the tip of the branch."""
    planned: Mapping[ItemKey, PlannedItem]
    """The batch's items, by key, as the plan has them there."""
    kept: Mapping[str, Outcome] = field(default_factory=dict)
    """By item commit: the items that are done and not merged yet, and that are taken as they are."""
    reader: BaseReader = field(init=False)
    _builders: dict[str, ManifestBuilder] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reader = BaseReader(self.repo.objects)

    def judge_all(self, outcomes: Iterable[Outcome]) -> Mapping[ItemKey, Staleness]:
        """Returns why early items are stale, by key; those that are not are kept. Items that started in their turn are kept."""
        commits = [(outcome.commit, outcome) for outcome in outcomes if outcome.commit]
        for commit, outcome in commits:
            if not commit.plan_item:
                self.keep(outcome)
        early = [(self._find_below(commit), outcome) for commit, outcome in commits if commit.plan_item]
        early.sort(key=lambda each: len(each[0]))  # what an item stands on comes before it
        found = dict[ItemKey, Staleness]()
        for _, outcome in early:
            if stale := self.judge(outcome):
                found[outcome.item.key] = stale
            else:
                self.keep(outcome)
        return found

    def keep(self, outcome: Outcome) -> None:
        """Notes that a done item is taken as it is. May be called from another thread: the mapping is not changed."""
        self.kept = {**self.kept, str(outcome.commit): outcome}

    def judge(self, outcome: Outcome) -> Staleness:
        """Returns why an early item that is done is stale; empty (false) if it is not."""
        commit, found = outcome.commit, self.planned.get(outcome.item.key)
        if commit is None or found is None:
            return Staleness(is_plan_changed=True)
        trailers = parse_trailers(self.repo.objects.read_commit(commit).message)
        below, kept = self._find_below(commit), self.kept
        reading = EarlyReading(trailers.context, trailers.plan_item, tuple(sorted(below)))
        group, item = found
        given = self._find_manifests([kept[oid] for oid in sorted(below) if oid in kept]).list_context(
            item, group
        )
        stale = judge_reading(
            reading,
            ((file.path, file.blob) for file in given),
            digest_plan_item(item, group),
            frozenset(self.state.project.shared_files),
            self._find_holding(below, kept.keys()),
        )
        return stale or self._judge_line(commit)

    def _find_below(self, commit: ItemCommit) -> frozenset[str]:
        return find_below((str(commit),), self.reader.direct)

    def _judge_line(self, commit: ItemCommit) -> Staleness:
        """Returns that the commit of the branch that an item started from is not on the branch any more."""
        line = self.reader.parts_of(commit).line
        return Staleness(unmerged=tuple(find_unmerged(self.repo, (line,), self.state.commit)))

    def _find_manifests(self, added: Iterable[Outcome]) -> ManifestBuilder:
        """Returns what lists the context of items on the tip, with what they stand on and is not merged yet."""
        blobs = {outcome.item.output: outcome.commit.blob for outcome in added if outcome.commit}
        tree = self.repo.objects.write_tree(self.state.tree, blobs) if blobs else self.state.tree
        if tree not in self._builders:
            state, snapshot = self.state, TreeSnapshot(self.repo.objects, tree)
            mark = partial(mark_filtered, self.repo, state)
            self._builders[tree] = ManifestBuilder(state.plan, state.project, snapshot, mark)
        return self._builders[tree]

    def _find_holding(self, below: frozenset[str], kept: AbstractSet[str]) -> frozenset[str]:
        """Returns the item commits that are kept, or merged and whose file the branch still has."""
        others = below - kept
        merged = others - find_unmerged(self.repo, others, self.state.commit)
        return (below & kept) | {oid for oid in merged if self._is_there(oid)}

    def _is_there(self, oid: str) -> bool:
        commit = self.repo.objects.read_commit(oid)
        path = parse_trailers(commit.message).output
        find = self.repo.objects.find_entry
        return bool(path) and find(commit.tree, path) == find(self.state.tree, path)


def describe_staleness(stale: Staleness) -> CleanText:
    """Returns in a line why an early item is not taken."""
    paths = tuple(quote_path(each.path) for each in stale.changed)
    parts = (
        f"what it read has changed: {list_names(paths)}" if paths else "",
        "the plan says something else about it" if stale.is_plan_changed else "",
        "what it was written from is not on the branch" if stale.unmerged else "",
    )
    return clean_text("; ".join(filter(None, parts)))


def set_stale_aside(
    repo: Repository, ledger: Ledger, ready: Mapping[ItemKey, Outcome], stale: Mapping[ItemKey, Staleness]
) -> tuple[Mapping[ItemKey, Outcome], tuple[CleanText, ...]]:
    """Keeps the commits of stale items under rescue refs; returns the outcomes that stay, by key, and what is said.

    What they have cost stays in the ledger, and does not count as an attempt.
    """
    notices = []
    for key, why in stale.items():
        reason = describe_staleness(why)
        unsound = Unsound(tuple(ready.values()), frozenset({key}))
        ready = set_aside(repo, ledger, unsound, reason, Cause.STALE)
        name = next(outcome.item.name for outcome in unsound.outcomes if outcome.item.key == key)
        notices.append(clean_text(f"again: {name}, which started early: {reason}"))
    return ready, tuple(notices)


def name_readings(
    repo: Repository, record: Record, base: str, outcomes: Iterable[Outcome]
) -> Mapping[ItemKey, str]:
    """Returns what the attempts at items of a group are counted by, by key, where that is what they read.

    `base`: the commit that the group began with.
    """
    state = read_project_state(repo, base, record.plan)
    planned, found = state.find_items(record), dict[ItemKey, str]()
    config, ignored = state.snapshot.blob(CONFIG_FILE) or "", frozenset(state.project.shared_files)
    for outcome in outcomes:
        if outcome.commit and outcome.item.key in planned:
            group, item = planned[outcome.item.key]
            given = parse_trailers(repo.objects.read_commit(outcome.commit).message).context
            if not item.reads_earlier:
                digest = digest_plan_item(item, group)
                found[outcome.item.key] = name_reading(given, digest, config, ignored)
    return found
