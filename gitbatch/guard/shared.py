"""Which files of a tree have one writer, and which none: what nobody but the orchestrator may commit. Rules O3, O4."""

from collections.abc import Iterable
from contextlib import suppress

from msgspec import Struct

from gitbatch.errors import PlanError
from gitbatch.paths import path_key
from gitbatch.plan.outputs import control_paths
from gitbatch.project.config import CONFIG_FILE, Config, parse_config
from gitbatch.project.control import TASK, Project, find_project
from gitbatch.project.snapshot import Snapshot

_SCOPE_FILE = "/claude.md"


class SharedFiles(Struct, frozen=True):
    """The shared files of a tree. Where there is no project to tell them, those that every project has."""

    projects: tuple[Project, ...] = ()
    """One; two if a project without phases has two plans, of which the user names one when a batch starts."""
    paths: frozenset[str] = control_paths()
    """What an orchestrator commit may change."""
    protected: frozenset[str] = control_paths()
    """What no item may have as its output."""
    problem: str = ""
    """Why there is no project."""

    def among(self, paths: Iterable[str]) -> frozenset[str]:
        """Those of some paths that are a shared file or CLAUDE.md, on a disk that ignores case, too."""
        keys = frozenset(map(path_key, self.paths))
        return frozenset(p for p in paths if path_key(p) in keys or f"/{path_key(p)}".endswith(_SCOPE_FILE))


def read_shared_files(snapshot: Snapshot) -> SharedFiles:
    """The shared files of a tree."""
    try:
        projects = _find_projects(snapshot, parse_config(snapshot.read(CONFIG_FILE)))
    except PlanError as error:
        return SharedFiles(problem=error.message)
    paths = frozenset(path for project in projects for path in project.shared_files)
    protected = (project.protected | control_paths(project.phase.folder) for project in projects)
    return SharedFiles(projects, paths, paths.union(*protected))


def _find_projects(snapshot: Snapshot, config: Config) -> tuple[Project, ...]:
    try:
        return (find_project(snapshot, config),)
    except PlanError:
        found = []
        for path in (TASK, f"docs/{TASK}"):
            with suppress(PlanError):
                found.append(find_project(snapshot, config, path))
        if not found:
            raise
        return tuple(found)
