"""The project in one commit of the target branch: configuration, control files, plan."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeVar

from msgspec import Struct

from gitbatch.batch.model import Record
from gitbatch.errors import FilePlace, PlanError
from gitbatch.paths import path_key
from gitbatch.plan.matching import ItemPlace, PlannedItem, match_items
from gitbatch.plan.model import ItemKey, Plan
from gitbatch.plan.outputs import CONTROL_NAMES
from gitbatch.plan.parse import read_plan
from gitbatch.plan.render import render_diagnostic, summary
from gitbatch.project.config import CONFIG_FILE, ProjectTable, parse_config
from gitbatch.project.control import BY_CONVENTION, PlanChoice, Project, find_project, plan_options
from gitbatch.project.scope import SCOPE_FILE
from gitbatch.project.snapshot import Snapshot
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.path_rules import RULE_FILES
from gitbatch.repo.promised import require_present
from gitbatch.repo.repository import Repository
from gitbatch.repo.snapshot import TreeSnapshot

_T = TypeVar("_T")


class ProjectView(Struct, frozen=True):
    """The project, the plan and their files, in one commit or in the checkout."""

    commit: str
    """Empty: the files are those of the checkout."""
    snapshot: Snapshot
    project: Project
    plan: Plan
    source: bytes
    """The text of the plan."""


class ProjectState(ProjectView, frozen=True, kw_only=True):
    """The project, the plan and their files in one commit, as a run needs them."""

    snapshot: TreeSnapshot
    tree: str
    guarded: frozenset[str]
    """Paths (by `path_key`) that have one writer: control files, and every item's output."""

    @property
    def is_complete(self) -> bool:
        """Whether every Definition-of-Done entry of the phase is done (rule O6)."""
        return self.plan.is_complete

    def find_items(self, record: Record) -> Mapping[ItemKey, PlannedItem]:
        """Returns the items of the plan that a batch's items are, with their groups, without those that it lost."""
        places = {
            item.key: ItemPlace(item.output, group.title, group.number)
            for group in record.groups
            for item in group.items
        }
        return match_items(places, self.plan)


def read_project_state(repo: Repository, commit: str, choice: PlanChoice = BY_CONVENTION) -> ProjectState:
    """Reads the project state of a commit. In a partial clone, missing objects are fetched if that is allowed.

    Args:
        repo: the repository.
        commit: the commit.
        choice: the plan that is wanted; of a batch, `Record.plan`.

    Raises:
        PlanError: the configuration is wrong, or the project has no plan.
        PartialCloneError: an object is missing, and fetching it is not allowed or failed.
    """
    return read_with_objects(repo, commit, lambda: _read_state_of(repo, commit, choice))


def read_with_objects(repo: Repository, commit: str, read: Callable[[], _T]) -> _T:
    """Calls `read`; in a partial clone, fetches missing objects and calls it again, if fetching is allowed.

    Raises:
        PartialCloneError: an object is missing, and fetching it is not allowed or failed.
    """
    while True:  # each turn fetches what was missing, or raises
        try:
            return read()
        except MissingObjectError as error:
            if repo.promised is None or not repo.objects.find_missing((error.oid,)):
                raise
            wanted = (error.oid, *_control_blobs(repo, commit))
            require_present(repo.objects, repo.promised, commit, wanted)


def _control_blobs(repo: Repository, commit: str) -> tuple[str, ...]:
    """Returns the blobs of all files with a control file's name, so that they are fetched together."""
    names = {CONFIG_FILE, SCOPE_FILE, *CONTROL_NAMES, *ProjectTable().context_documents, *RULE_FILES}
    with suppress(MissingObjectError):  # a tree is missing: it is fetched first, then its files are known
        walked = repo.objects.list_files(repo.objects.read_commit(commit).tree)
        return tuple(e.oid for path, e in walked if e.is_file and path.rpartition("/")[2] in names)
    return ()


def _read_state_of(repo: Repository, commit: str, choice: PlanChoice) -> ProjectState:
    tree = repo.objects.read_commit(commit).tree
    snapshot = TreeSnapshot(repo.objects, tree)
    config = parse_config(snapshot.read(CONFIG_FILE))
    project = find_project(snapshot, config, choice)
    source = snapshot.read(project.plan_path) or b""
    plan = read_plan(source, project.plan_path, plan_options(project))
    guarded = project.protected | {path_key(item.output) for item in plan.items}
    return ProjectState(
        commit=commit,
        tree=tree,
        snapshot=snapshot,
        project=project,
        plan=plan,
        source=source,
        guarded=guarded,
    )


def require_runnable(project_state: ProjectView) -> None:
    """Refuses a plan with errors.

    Raises:
        PlanError: it has errors; the message shows all of its diagnostics.
    """
    if project_state.plan.errors:
        path, first = project_state.plan.path, project_state.plan.errors[0]
        raise PlanError(
            f"cannot run {path}: {summary(project_state.plan.diagnostics)}",
            "fix the plan, commit it and try again",
            render_diagnostics(project_state),
            FilePlace(path, first.line, first.column),
        )


def find_path_problem(project_state: ProjectState, output: str) -> str | None:
    """Returns why an output cannot be a file in the commit: another kind of entry is at its path or above; else None."""
    return project_state.snapshot.find_obstacle(output)


def render_diagnostics(project_state: ProjectView) -> str:
    """Returns the diagnostics of the plan for people; empty if there are none."""
    return "\n\n".join(
        render_diagnostic(d, project_state.source, project_state.plan.path)
        for d in project_state.plan.diagnostics
    )
