"""Auditing a history without trust: does what the commits did keep the rules, whoever made them?

Only commits are looked at: no ref of a batch, no record, no log, no checkout. Judged is every commit that carries
our trailers; the user's own commits are not. Each is judged by the project as its first parent has it, so that no
commit changes the rules that it is judged by. Nothing here repairs anything.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Self

from msgspec import Struct

from gitbatch.batch.events import SCHEMA
from gitbatch.batch.merge import PARENTS
from gitbatch.batch.scene import plan_options
from gitbatch.batch.trailers import Kind, Trailers, parse_trailers
from gitbatch.errors import GitbatchError, GitError, UsageError
from gitbatch.guard.shared import SharedFiles, read_shared
from gitbatch.plan.outputs import path_problem
from gitbatch.plan.parse import parse_plan
from gitbatch.project.control import Project
from gitbatch.project.edits import keeps_text
from gitbatch.repo.commit import Commit
from gitbatch.repo.objects import REGULAR, Objects, TreeEntry
from gitbatch.repo.repository import Repository
from gitbatch.repo.snapshot import TreeSnapshot
from gitbatch.text import plain


class Check(StrEnum):
    """What a commit can fail, and the behaviour rule that it is for."""

    rule: str

    def __new__(cls, name: str, rule: str) -> Self:
        """A check by its name, with its rule."""
        check = str.__new__(cls, name)
        check._value_, check.rule = name, rule
        return check

    HISTORY = "history", "O3"
    TRAILERS = "trailers", "O3"
    PROJECT = "project", "O2"
    ITEM_PARENT = "item-parent", "S1"
    ITEM_PATH = "item-path", "S1"
    ITEM_FILE = "item-file", "S1"
    ITEM_CHANGES = "item-changes", "S1"
    ITEM_SHARED = "item-shared", "S2"
    MERGE_PARENTS = "merge-parents", "S1"
    MERGE_TREE = "merge-tree", "S1"
    MERGE_SHARED = "merge-shared", "O3"
    CHECKPOINT_PARENT = "checkpoint-parent", "O3"
    CHECKPOINT_CHANGES = "checkpoint-changes", "O3"
    CHECKPOINT_PLAN = "checkpoint-plan", "O3"
    CHECKPOINT_ITEMS = "checkpoint-items", "E2"
    CHECKPOINT_TEXTS = "checkpoint-texts", "O3"
    TICK = "tick", "E2"


class Finding(Struct, frozen=True):
    """What is wrong with a commit. For programs, one JSON object."""

    commit: str
    rule: str
    check: Check
    message: str
    schema: int = SCHEMA


class Audit(Struct, frozen=True):
    """What an audit found, the oldest commit first."""

    judged: int
    """How many commits carry our trailers."""
    findings: tuple[Finding, ...]
    ends: tuple[str, ...]
    """The commits whose parents a shallow clone lacks: they are not judged, and what is older can't be seen."""


class _History(Struct, frozen=True):
    parents: dict[str, list[str]]
    """Of every commit; parents come before their children."""
    ours: dict[str, tuple[Commit, Trailers]]
    """The commits that carry our trailers, in the same order."""
    ends: frozenset[str]


_Complaints = Iterator[tuple[Check, str]]


def audit(repo: Repository, revisions: str) -> Audit:
    """Judge the commits of a range (`A..B`), or all that can be reached from a revision.

    Raises:
        UsageError: the revisions name no commit.
        GitbatchError: the repository lacks objects that have to be looked at.
    """
    named = _resolve(repo, revisions)
    tips = [oid for oid in named if not oid.startswith("^")]
    history = _read_history(repo, tips)
    if not history.parents:
        raise UsageError(
            f"{plain(revisions)} names no commit here", "name a branch, a commit or a range A..B"
        )
    wanted = frozenset(history.parents if tips == named else repo.git.text("rev-list", *named).split())
    judged = [oid for oid in history.ours if oid in wanted]
    auditor = _Auditor(repo.objects, history)
    try:
        findings = (
            *(_finding(oid, Check.HISTORY, _CUT) for oid in sorted(history.ends & wanted)),
            *(
                _finding(oid, check, message)
                for oid in judged
                if oid not in history.ends
                for check, message in auditor.judge(*history.ours[oid])
            ),
        )
    except GitError as error:
        advice = "if this is a partial clone (--filter), audit a full one"
        raise GitbatchError(f"the history can't be read: {error.stderr}", advice) from error
    return Audit(len(judged), findings, tuple(sorted(history.ends)))


_CUT = "this clone ends here, and what is older can't be judged: fetch the whole history"


def _finding(oid: str, check: Check, message: str) -> Finding:
    return Finding(oid, check.rule, check, plain(message))


def _resolve(repo: Repository, revisions: str) -> list[str]:
    """The object ids of revisions; one that is left out begins with `^`."""
    if revisions.startswith("-"):  # git would read an option
        return []
    return repo.git.run("rev-parse", "--revs-only", revisions, check=False).stdout.decode().split()


def _read_history(repo: Repository, tips: list[str]) -> _History:
    """The graph is git's; read one by one are only the commits that may be ours, and those without parents."""
    if not tips:
        return _History({}, {}, frozenset())
    listed = repo.git.text("rev-list", "--topo-order", "--reverse", "--parents", *tips)
    parents = {oid: above for oid, *above in (line.split(" ") for line in listed.splitlines())}
    candidates = set(
        repo.git.text(
            "rev-list", "--fixed-strings", "--regexp-ignore-case", "--grep=Gitbatch-", *tips
        ).split()
    )
    commits = [repo.objects.commit(oid) for oid in parents if oid in candidates]
    ours = {c.oid: (c, trailers) for c in commits if (trailers := parse_trailers(c.message)).are_ours}
    roots = (oid for oid, above in parents.items() if not above)
    return _History(parents, ours, frozenset(oid for oid in roots if repo.objects.commit(oid).parents))


@dataclass(slots=True)
class _Auditor:
    """Judges commits one by one; keeps what several of them need."""

    objects: Objects
    history: _History
    _reach: dict[str, int] = field(default_factory=dict)
    """Of every commit, as bits: the item commits that can be reached from it; the lowest: the end of the clone."""
    _items: dict[tuple[str, str], int] = field(default_factory=dict)
    """Batch and key → the bits of the item's commits."""
    _shared: dict[str, SharedFiles] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, (oid, (_, trailers)) in enumerate(self.history.ours.items(), 1):
            if trailers.kind is Kind.ITEM:
                item = trailers.batch, trailers.key
                self._reach[oid] = 1 << number
                self._items[item] = self._items.get(item, 1) | 1 << number
        for oid, parents in self.history.parents.items():
            bits = self._reach.get(oid, int(oid in self.history.ends))
            for above in (self._reach[parent] for parent in parents):
                bits = above if bits | above == above else bits | above  # most commits share one number
            self._reach[oid] = bits

    def judge(self, commit: Commit, trailers: Trailers) -> _Complaints:
        """What is wrong with a commit that carries our trailers."""
        if trailers.problem:
            yield Check.TRAILERS, trailers.problem
            return
        if trailers.kind is Kind.ITEM:
            yield from self._judge_item(commit, trailers.key)
        elif trailers.kind is Kind.CHECKPOINT:
            yield from self._judge_checkpoint(commit, trailers.batch)
        elif trailers.kind is Kind.MERGE:
            yield from self._judge_merge(commit, trailers.batch)
        else:
            yield Check.TRAILERS, "it keeps what a failed attempt had written, and stands on no branch"
        if commit.parents and (problem := self._shared_in(self._tree(commit.parents[0])).problem):
            yield Check.PROJECT, f"can't be judged by the project of its parent: {problem}"

    def _judge_item(self, commit: Commit, key: str) -> _Complaints:
        if len(commit.parents) != 1:
            yield Check.ITEM_PARENT, f"has {len(commit.parents)} parents; an item has one"
            return
        shared, changes = self._compare(commit)
        if problem := path_problem(key, shared.protected):
            yield Check.ITEM_PATH, f"its output {key} {problem}"
        if taken := shared.among(changes.keys() - {key}):
            yield Check.ITEM_SHARED, f"changes {_listed(taken)} beside its output {key}"
        if strays := changes.keys() - taken - {key}:
            yield Check.ITEM_CHANGES, f"changes {_listed(strays)}, which is not its output {key}"
        elif key not in changes:
            yield Check.ITEM_CHANGES, f"does not change its output {key}"
        if key in changes and not _is_regular(changes[key]):
            yield Check.ITEM_FILE, f"its output {key} is deleted, or no regular file of mode {REGULAR}"

    def _judge_merge(self, commit: Commit, batch: str) -> _Complaints:
        merged = commit.parents[1:]
        items = {key: oid for oid in merged if (key := self._key(oid, batch))}
        if not 1 <= len(merged) <= PARENTS or len(items) != len(merged):
            yield Check.MERGE_PARENTS, f"does not merge 1 to {PARENTS} different items of its batch alone"
            return
        shared, changes = self._compare(commit)
        blobs = {key: self.objects.entry(self._tree(oid), key) for key, oid in items.items()}
        if taken := shared.among(changes):
            yield Check.MERGE_SHARED, f"changes {_listed(taken)}"
        wrong = {path for path, new in changes.items() if not _is_regular(new) or new != blobs.get(path)}
        base = self._tree(commit.parents[0])
        wrong |= {key for key in blobs.keys() - changes.keys() if blobs[key] != self.objects.entry(base, key)}
        if wrong - taken:
            yield Check.MERGE_TREE, f"{_listed(wrong - taken)} is neither its first parent's nor its item's"

    def _judge_checkpoint(self, commit: Commit, batch: str) -> _Complaints:
        if len(commit.parents) != 1:
            yield Check.CHECKPOINT_PARENT, f"has {len(commit.parents)} parents; a checkpoint has one"
            return
        yield from self._judge_rows(commit, batch)
        shared, changes = self._compare(commit)
        if strays := changes.keys() - shared.paths:
            yield Check.CHECKPOINT_CHANGES, f"changes {_listed(strays)}, which is no shared file"
        if broken := {path for path, new in changes.items() if not _is_regular(new)} - strays:
            yield Check.CHECKPOINT_CHANGES, f"{_listed(broken)} is no regular file of mode {REGULAR} any more"
        for project in shared.projects:
            if _is_regular(changes.get(project.task)):
                yield from self._judge_plan(commit, batch, project)
            yield from self._judge_texts(commit, project, changes)

    def _judge_rows(self, commit: Commit, batch: str) -> _Complaints:
        """What a checkpoint says has succeeded, the merges of its batch right below it have brought."""
        merged = self._merged_below(commit, batch)
        for key in parse_trailers(commit.message).succeeded:
            if not self._reaches(commit.oid, batch, key):
                yield Check.CHECKPOINT_ITEMS, f"says that {key} succeeded, but no commit of it can be reached"
            elif merged is not None and key not in merged:
                yield (
                    Check.CHECKPOINT_ITEMS,
                    f"says that {key} succeeded, but no merge of its batch below it has it",
                )

    def _judge_texts(
        self, commit: Commit, project: Project, changes: dict[str, TreeEntry | None]
    ) -> _Complaints:
        """To a shared file that is no plan, an orchestrator commit adds lines, and replaces our own section."""
        for path in (project.status, project.decisions, *project.artifacts):
            if _is_regular(changes.get(path)) and not keeps_text(*self._versions(commit, path)):
                yield Check.CHECKPOINT_TEXTS, f"takes away or changes what {path} said"

    def _judge_plan(self, commit: Commit, batch: str, project: Project) -> _Complaints:
        """Of a plan, an orchestrator commit changes one byte for each box that it ticks."""
        path = project.task
        old, new = self._versions(commit, path)
        plan = parse_plan(old, path, plan_options(project))
        boxes = {entry.mark.offset for entries in (plan.items, plan.criteria) for entry in entries}
        ticked = {at for at in boxes if (old[at : at + 1], new[at : at + 1]) == (b" ", b"x")}
        expected = bytearray(old)
        for at in ticked:
            expected[at] = ord("x")
        if expected != new:
            yield Check.CHECKPOINT_PLAN, f"changes more of {path} than boxes from open to ticked"
            return
        for item in plan.items:
            if item.mark.offset in ticked and not self._reaches(commit.oid, batch, item.output):
                yield Check.TICK, f"ticks {item.name}, but no commit of it can be reached"
        named = {number for item in plan.items for number in item.criteria}
        to_do = (item for item in plan.items if not item.done and item.mark.offset not in ticked)
        complete = named.difference(*(item.criteria for item in to_do))
        for criterion in plan.criteria:
            if criterion.mark.offset in ticked and criterion.number not in complete:
                yield Check.TICK, f"ticks #{criterion.number} of the Definition of Done before its items"

    def _merged_below(self, commit: Commit, batch: str) -> frozenset[str] | None:
        """The items that the merges of a batch right below a commit bring. None: the clone ends there."""
        found: set[str] = set()
        oid = commit.parents[0]
        while (merge := self.history.ours.get(oid)) and merge[1].first("Batch") == batch:
            if merge[1].first("Item") or merge[1].first("Checkpoint") or not merge[0].parents:
                break
            if oid in self.history.ends:
                return None
            found |= {self._key(parent, batch) for parent in merge[0].parents[1:]}
            oid = merge[0].parents[0]
        return frozenset(found)

    def _versions(self, commit: Commit, path: str) -> tuple[bytes, bytes]:
        """A file before a commit and after it; empty where it is not there."""
        before, after = (
            TreeSnapshot(self.objects, tree).read(path) or b""
            for tree in (self._tree(commit.parents[0]), commit.tree)
        )
        return before, after

    def _reaches(self, oid: str, batch: str, key: str) -> bool:
        """Whether an item's commit can be reached, or may be beyond the end of a shallow clone."""
        return bool(self._reach[oid] & self._items.get((batch, key), 1))

    def _key(self, oid: str, batch: str) -> str:
        """The item that a commit is of; empty if it is none of a batch."""
        _, trailers = self.history.ours.get(oid, (None, Trailers()))
        return trailers.key if trailers.first("Batch") == batch else ""

    def _tree(self, oid: str) -> str:
        return self.objects.commit(oid).tree

    def _compare(self, commit: Commit) -> tuple[SharedFiles, dict[str, TreeEntry | None]]:
        """The shared files of a commit's first parent; and path → what the commit makes of it."""
        base = self._tree(commit.parents[0])
        return self._shared_in(base), {c.path: c.new for c in self.objects.changes(base, commit.tree)}

    def _shared_in(self, tree: str) -> SharedFiles:
        if tree not in self._shared:
            self._shared[tree] = read_shared(TreeSnapshot(self.objects, tree))
        return self._shared[tree]


def _is_regular(entry: TreeEntry | None) -> bool:
    return entry is not None and entry.mode == REGULAR


def _listed(paths: Iterable[str]) -> str:
    first, *more = sorted(paths)
    return f"{first} and {len(more)} more" if more else first
