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
from gitbatch.batch.history.bases import BaseReader, find_below, find_unmerged, is_on_first_line
from gitbatch.batch.history.ledger import Ledger
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.history.trailers import parse_trailers
from gitbatch.batch.model import ItemCommit, Outcome, Record
from gitbatch.batch.planning.early.staleness import EarlyReading, Staleness, judge_reading, name_reading
from gitbatch.batch.planning.missing_inputs import InputFinder
from gitbatch.batch.planning.project_state import ProjectState, read_project_state
from gitbatch.batch.planning.risks import mark_filtered
from gitbatch.limits.causes import Cause
from gitbatch.paths import quote_path
from gitbatch.plan.item_digest import digest_plan_item
from gitbatch.plan.matching import PlannedItem
from gitbatch.plan.model import ItemKey
from gitbatch.project.config import CONFIG_FILE
from gitbatch.project.manifest import ManifestBuilder
from gitbatch.repo.attributes import FilteredPathError, require_no_filter
from gitbatch.repo.objects.store import Objects
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
    failed: Mapping[str, Outcome] = field(default_factory=dict)
    """By output: the items of earlier groups that left a file unwritten."""
    kept: Mapping[str, Outcome] = field(default_factory=dict)
    """By item commit: the items that are done and not merged yet, and that are taken as they are."""
    reader: BaseReader = field(init=False)
    _builders: dict[str, ManifestBuilder] = field(default_factory=dict)
    _now: "EarlyJudge | None" = field(default=None, init=False)

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
        objects, output = self.repo.objects, outcome.item.output
        was = list_own(objects, objects.tree_of(commit.base), output)
        reading = EarlyReading((*trailers.context, *was), trailers.plan_item, tuple(sorted(below)))
        group, item = found
        stale = judge_reading(
            reading,
            self._list_given(found, [kept[oid] for oid in sorted(below) if oid in kept]),
            digest_plan_item(item, group),
            frozenset(self.state.project.shared_files),
            self._find_holding(below, kept.keys()),
        )
        return stale or self._judge_line(commit, below) or Staleness(problem=self._find_problem(found))

    def judge_now(self, record: Record) -> "EarlyJudge":
        """Returns what judges on the present tip of the branch: the user may commit while a group runs.

        Raises:
            GitbatchError: the branch, its plan or its configuration cannot be read.
        """
        tip = require_tip(self.repo, record.target)
        if tip == self.state.commit:
            return self
        if self._now is None or self._now.state.commit != tip:
            state = read_project_state(self.repo, tip, record.plan)
            self._now = EarlyJudge(self.repo, state, state.find_items(record), self.failed)
        return self._now

    def may_start(
        self, key: ItemKey, read: tuple[tuple[str, str], ...], plan_item: str, seen: tuple[Outcome, ...]
    ) -> bool:
        """Whether an early item would be written from what the branch has, or is to have.

        Args:
            key: the item.
            read: path and blob of each file that it would be given, and of its output.
            plan_item: the digest of what the plan says about it where it would start.
            seen: the outcomes of all items whose commits its base would have.
        """
        found = self.planned.get(key)
        if found is None:
            return False
        made = {str(outcome.commit): outcome for outcome in seen if outcome.commit}
        unmerged = find_unmerged(self.repo, made.keys(), self.state.commit)
        left = [outcome for oid, outcome in made.items() if oid in unmerged]
        if not all(map(self._is_there, made.keys() - unmerged)) or self.judge_all(left):
            return False
        if any(map(self._is_overtaken, left)):
            return False
        given, (group, item) = self._list_given(found, left), found
        written = {outcome.item.output for outcome in left}
        to_come = {i.output for i in self.state.plan.items if not i.done and i.group < group.number} - written
        now = judge_reading(
            EarlyReading(read, plan_item),
            given,
            digest_plan_item(item, group),
            frozenset(self.state.project.shared_files),
            frozenset(),
        )
        return not now and to_come.isdisjoint(path for path, _ in given)

    def _find_below(self, commit: ItemCommit) -> frozenset[str]:
        return find_below((str(commit),), self.reader.direct)

    def _judge_line(self, commit: ItemCommit, below: frozenset[str]) -> Staleness:
        """Returns that the commit of the branch that an item started from is not on the branch any more.

        One that stands on other items cannot be written again on the tip (`rebase.py`), so it needs the first-parent line.
        """
        line, tip = self.reader.parts_of(commit).line, self.state.commit
        if not below:
            return Staleness(unmerged=tuple(find_unmerged(self.repo, (line,), tip)))
        return Staleness(unmerged=() if is_on_first_line(self.repo, line, tip) else (line,))

    def _find_problem(self, found: PlannedItem) -> str:
        """Returns why an item could not start now: what it reads was sent back and its writer failed, or a filter."""
        (group, item), state = found, self.state
        if self.failed:
            chosen = frozenset(each.output for _, each in self.planned.values())
            finder = InputFinder(state.plan, state.project, state.snapshot, self.failed, chosen)
            failures = (each for each in finder.find_missing(item, group) if each.path in self.failed)
            if blocking := next((each for each in failures if each.is_required), None):
                return f"required context {blocking}"
        try:
            require_no_filter(self.repo, state.tree, item.output)
        except FilteredPathError as error:
            return f"cannot take the output: {error}"
        return ""

    def _list_given(self, found: PlannedItem, added: Iterable[Outcome]) -> tuple[tuple[str, str], ...]:
        """Returns path and blob of each file that an item would be given on the tip, and of what it would replace.

        `added`: the items that it stands on and that are not merged yet.
        """
        blobs = {outcome.item.output: outcome.commit.blob for outcome in added if outcome.commit}
        tree = self.repo.objects.write_tree(self.state.tree, blobs) if blobs else self.state.tree
        if tree not in self._builders:
            state, snapshot = self.state, TreeSnapshot(self.repo.objects, tree)
            mark = partial(mark_filtered, self.repo, state)
            self._builders[tree] = ManifestBuilder(state.plan, state.project, snapshot, mark)
        group, item = found
        given = self._builders[tree].list_context(item, group)
        return (*((file.path, file.blob) for file in given), *list_own(self.repo.objects, tree, item.output))

    def _is_overtaken(self, outcome: Outcome) -> bool:
        """Whether the user has written the file of an item of the open group since it started: it will be in conflict."""
        commit, objects, path = outcome.commit, self.repo.objects, outcome.item.output
        if commit is None or commit.plan_item:
            return False
        return list_own(objects, objects.tree_of(commit.base), path) != list_own(
            objects, self.state.tree, path
        )

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


def list_own(objects: Objects, tree: str, output: str) -> tuple[tuple[str, str], ...]:
    """Returns an item's output, with its blob, if a tree has it: an item that starts there replaces it."""
    entry = objects.find_entry(tree, output)
    return ((output, entry.oid),) if entry else ()


def describe_staleness(stale: Staleness) -> CleanText:
    """Returns in a line why an early item is not taken."""
    paths = tuple(quote_path(each.path) for each in stale.changed)
    parts = (
        f"what it read has changed: {list_names(paths)}" if paths else "",
        "the plan says something else about it" if stale.is_plan_changed else "",
        "what it was written from is not on the branch" if stale.unmerged else "",
        stale.problem,
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
