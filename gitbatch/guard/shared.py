"""The shared files of a tree: only the orchestrator commits them (rules O3, O4)."""

from collections.abc import Iterable

from msgspec import Struct

from gitbatch.errors import PlanError
from gitbatch.paths import path_key
from gitbatch.plan.outputs import control_paths, is_shared
from gitbatch.project.config import CONFIG_FILE, Config, parse_config
from gitbatch.project.control import CONVENTIONAL, PlanChoice, Project, find_project
from gitbatch.project.snapshot import Snapshot

_SCOPE_FILE = "/claude.md"


class SharedFiles(Struct, frozen=True):
    """The shared files of a tree; if it has no valid project, those that every project has."""

    projects: tuple[Project, ...] = ()
    """One project; two if there are two plans and no phases, and it is not known which of them a batch runs."""
    paths: frozenset[str] = control_paths()
    """The files that an orchestrator commit may change."""
    protected: frozenset[str] = control_paths()
    """The files that no item may have as its output."""
    problem: str = ""
    """Why no project was found."""

    def select_shared(self, paths: Iterable[str]) -> frozenset[str]:
        """Returns the paths that are a shared file or CLAUDE.md, also on a file system that ignores case."""
        shared = self.paths.union(*(project.possible_artifacts for project in self.projects))
        return frozenset(p for p in paths if is_shared(p, shared) or f"/{path_key(p)}".endswith(_SCOPE_FILE))

    def may_write(self, path: str) -> bool:
        """Whether an orchestrator commit may change a path: a shared file, or an inventory that it creates."""
        return path in self.paths or any(project.find_artifact(path) == path for project in self.projects)


def read_shared_files(snapshot: Snapshot, plan: str | None = None) -> SharedFiles:
    """Reads the shared files of a tree from its configuration. `plan`: the plan of a batch, if that is known."""
    try:
        projects = _find_projects(snapshot, parse_config(snapshot.read(CONFIG_FILE)), plan)
    except PlanError as error:
        return SharedFiles(problem=error.message)
    paths = frozenset(path for project in projects for path in project.shared_files)
    protected = (project.protected | control_paths(project.phase.folder) for project in projects)
    return SharedFiles(projects, paths, paths.union(*protected))


def _find_projects(snapshot: Snapshot, config: Config, plan: str | None) -> tuple[Project, ...]:
    first = find_project(snapshot, config, PlanChoice(plan, is_recorded=True))
    if plan is not None or first.phase.name:
        return (first,)
    others = (path for path in CONVENTIONAL if path != first.plan_path and snapshot.blob(path))
    return (first, *(find_project(snapshot, config, PlanChoice(path)) for path in others))
