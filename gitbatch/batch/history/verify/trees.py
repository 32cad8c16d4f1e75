"""The trees of a history: the changes of a commit, and the project that a commit has.

A commit is judged by the project of its first parent, so that no commit changes the rules that it is judged by.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from msgspec import Struct

from gitbatch.batch.history.given_outputs import OutputsReader
from gitbatch.batch.history.trailers import Trailers
from gitbatch.batch.history.verify.folders import FolderReader
from gitbatch.guard.shared import SharedFiles, read_shared_files
from gitbatch.plan.matching import PlannedItem, list_by_output
from gitbatch.plan.model import Plan
from gitbatch.plan.parse import read_plan
from gitbatch.project.config import BatchTable
from gitbatch.project.control import Project, plan_options
from gitbatch.project.manifest import EarlierOutputs
from gitbatch.repo.objects.codec import REGULAR, Commit, TreeEntry
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.snapshot import TreeSnapshot

_REMEMBERED = 8
"""The number of trees whose plans are cached: the items of a group share a base and are judged in sequence."""


class Changes(Struct, frozen=True):
    """The differences between the tree of a commit and that of its first parent."""

    paths: dict[str, TreeEntry | None]
    """Path → the new entry; None if the path is missing, or a folder."""
    malformed: tuple[str, ...]
    """Changed folders that git would not have written: a name twice, not in order, or not a name."""
    before: dict[str, TreeEntry | None] = {}
    """For the same paths the old entry."""


@dataclass(slots=True)
class Trees:
    """Reads trees, and caches what several commits need."""

    objects: Objects
    _shared: dict[tuple[str, str | None], SharedFiles] = field(default_factory=dict)
    _open: dict[tuple[str, str | None], frozenset[str]] = field(default_factory=dict)
    _planned: dict[tuple[str, str | None], tuple[dict[str, list[PlannedItem]], ...]] = field(
        default_factory=dict
    )
    _outputs: OutputsReader = field(init=False)
    _folders: FolderReader = field(init=False)

    def __post_init__(self) -> None:
        self._folders = FolderReader(self.objects)
        self._outputs = OutputsReader(self.objects)

    def find_outputs(
        self, trailers: Trailers, line: str, base: str, plan: str | None
    ) -> EarlierOutputs | None:
        """Returns the outputs of earlier groups that an item's commit states by a digest; None if they are others."""
        return self._outputs.find_outputs(trailers, self.tree_of(line), self.tree_of(base), plan)

    def tree_of(self, oid: str) -> str:
        """Returns the tree of a commit."""
        return self.objects.tree_of(oid)

    def find_obstacle(self, oid: str, path: str) -> str | None:
        """Returns what is at a path of a commit, or above it, so that it cannot be a file; None: it can be one."""
        return TreeSnapshot(self.objects, self.tree_of(oid)).find_obstacle(path)

    def shared_files(self, oid: str, plan: str | None) -> SharedFiles:
        """Returns the shared files of the project that a commit has. `plan`: the batch's, if a checkpoint states it."""
        tree = self.tree_of(oid)
        if (tree, plan) not in self._shared:
            self._shared[tree, plan] = read_shared_files(TreeSnapshot(self.objects, tree), plan)
        return self._shared[tree, plan]

    def find_size_limit(self, oid: str, plan: str | None) -> int:
        """Returns the most bytes that an output may have by the configuration of a commit."""
        limits = [p.config.batch.max_output_bytes for p in self.shared_files(oid, plan).projects]
        return max(limits, default=BatchTable().max_output_bytes)

    def planned_outputs(self, oid: str, plan: str | None) -> frozenset[str] | None:
        """Returns the outputs of all items of a commit's plans; None if it has no readable plan."""
        projects = self.shared_files(oid, plan).projects
        items = (item for project in projects for item in self.read_plan_at(oid, project).items)
        return frozenset(item.output for item in items) if projects else None

    def find_changes(self, commit: Commit) -> Changes:
        """Returns the differences between a commit and its first parent; equal folders are not read."""
        paths: dict[str, TreeEntry | None] = {}
        malformed: list[str] = []
        earlier: dict[str, TreeEntry | None] = {}
        to_do = [("", self.tree_of(commit.parents[0]), commit.tree)]
        while to_do:
            folder, old, new = to_do.pop()
            change = self._folders.compare_folders(old, new)
            before, after = change.before, change.after
            if not change.is_sound:
                malformed.append(folder or "the top folder")
            for name in before.keys() | after.keys():
                was, now = before.get(name), after.get(name)
                if was == now:
                    continue
                path = f"{folder}{name}"
                trees = [entry.oid if entry and entry.is_tree else "" for entry in (was, now)]
                if any(trees):
                    to_do.append((f"{path}/", trees[0], trees[1]))
                if any(entry and not entry.is_tree for entry in (was, now)):
                    paths[path] = None if now and now.is_tree else now
                    earlier[path] = was
        return Changes(paths, tuple(sorted(malformed)), earlier)

    def entry_at(self, oid: str, path: str) -> TreeEntry | None:
        """Returns the entry at a path of a commit."""
        return self.objects.find_entry(self.tree_of(oid), path)

    def base_entry(self, oid: str, path: str) -> TreeEntry | None:
        """Returns the entry at a path of the commit that an item started from."""
        return self.entry_at(self.objects.read_commit(oid).parents[0], path)

    def read_file(self, oid: str, path: str) -> bytes:
        """Returns the content of a file of a commit; empty if it does not exist."""
        return TreeSnapshot(self.objects, self.tree_of(oid)).read(path) or b""

    def read_plan_at(self, oid: str, project: Project) -> Plan:
        """Returns the plan of a project, as a commit has it."""
        return read_plan(self.read_file(oid, project.plan_path), project.plan_path, plan_options(project))

    def find_writers(self, oid: str, plan: str | None, output: str) -> tuple[list[PlannedItem], ...]:
        """Returns, for each of a commit's plans, the items that write a path, with their groups."""
        key = self.tree_of(oid), plan
        if key not in self._planned:
            if len(self._planned) >= _REMEMBERED:
                self._planned.clear()
            projects = self.shared_files(oid, plan).projects
            self._planned[key] = tuple(list_by_output(self.read_plan_at(oid, each)) for each in projects)
        return tuple(planned.get(output, []) for planned in self._planned[key])

    def open_outputs(self, oid: str, plan: str | None) -> frozenset[str]:
        """Returns the outputs of the open items of a commit's plans."""
        key = self.tree_of(oid), plan
        if key not in self._open:
            if len(self._open) >= _REMEMBERED:
                self._open.clear()
            plans = (self.read_plan_at(oid, project) for project in self.shared_files(oid, plan).projects)
            self._open[key] = frozenset(i.output for read in plans for i in read.items if not i.done)
        return self._open[key]


def is_regular(entry: TreeEntry | None) -> bool:
    """Whether an entry is a regular file that is not executable."""
    return entry is not None and entry.mode == REGULAR


def format_paths(paths: Iterable[str]) -> str:
    """Returns paths for people: the first, and the number of the others."""
    first, *more = sorted(paths)
    return f"{first} and {len(more)} more" if more else first
