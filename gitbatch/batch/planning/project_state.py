"""The project as one commit of the target branch has it: configuration, control files, plan."""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from msgspec import Struct

from gitbatch.errors import PlanError
from gitbatch.paths import ancestors, path_key
from gitbatch.plan.model import Group, Plan, WorkItem
from gitbatch.plan.outputs import CONTROL_NAMES
from gitbatch.plan.parse import read_plan
from gitbatch.plan.render import render_diagnostic, summary
from gitbatch.project.config import CONFIG_FILE, ProjectTable, parse_config
from gitbatch.project.control import Project, find_project, plan_options
from gitbatch.project.scope import SCOPE_FILE
from gitbatch.repo.objects.codec import SUBMODULE, SYMLINK
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.path_rules import RULE_FILES
from gitbatch.repo.promised import require_present
from gitbatch.repo.repository import Repository
from gitbatch.repo.snapshot import TreeSnapshot

_T = TypeVar("_T")


class ProjectState(Struct, frozen=True):
    """Everything that a commit says about the work."""

    commit: str
    tree: str
    snapshot: TreeSnapshot
    project: Project
    plan: Plan
    source: bytes
    """The text of the plan."""
    guarded: frozenset[str]
    """Paths (by `path_key`) that have one writer: control files, and every item's output."""

    @property
    def is_complete(self) -> bool:
        """Whether every Definition-of-Done entry of the phase is done (rule O6)."""
        return bool(self.plan.criteria) and all(criterion.done for criterion in self.plan.criteria)

    def find_item(self, key: str) -> tuple[Group, WorkItem] | None:
        """Returns the item with a key and its group, or None."""
        return next(
            ((group, item) for group in self.plan.groups for item in group.items if item.output == key), None
        )


def read_project_state(repo: Repository, commit: str, wanted: str | None = None) -> ProjectState:
    """The project state of a commit. In a partial clone, what it reads is fetched if it is missing and may be.

    Args:
        repo: the repository.
        commit: which commit.
        wanted: the task.md that the user named.

    Raises:
        PlanError: the configuration is wrong, or the project has no plan.
        PartialCloneError: something is missing that may or could not be fetched.
    """
    return read_with_objects(repo, commit, lambda: _read_state_of(repo, commit, wanted))


def read_with_objects(repo: Repository, commit: str, read: Callable[[], _T]) -> _T:
    """Read something of a commit; in a partial clone, fetch what it needs and what is missing, if that may be.

    Raises:
        PartialCloneError: something is missing that may or could not be fetched.
    """
    while True:  # what is missing is there afterwards, or that raises
        try:
            return read()
        except MissingObjectError as error:
            if repo.promised is None or not repo.objects.find_missing((error.oid,)):
                raise
            wanted = (error.oid, *_control_blobs(repo, commit))
            require_present(repo.objects, repo.promised, commit, wanted)


def _control_blobs(repo: Repository, commit: str) -> tuple[str, ...]:
    """The blobs of all files with a control file's name: fetched together, not one after the other."""
    names = {CONFIG_FILE, SCOPE_FILE, *CONTROL_NAMES, *ProjectTable().context_documents, *RULE_FILES}
    with suppress(MissingObjectError):  # of a tree: it is fetched first, and then its files are known
        walked = repo.objects.list_files(repo.objects.read_commit(commit).tree)
        return tuple(e.oid for path, e in walked if e.is_file and path.rpartition("/")[2] in names)
    return ()


def _read_state_of(repo: Repository, commit: str, wanted: str | None) -> ProjectState:
    tree = repo.objects.read_commit(commit).tree
    snapshot = TreeSnapshot(repo.objects, tree)
    config = parse_config(snapshot.read(CONFIG_FILE))
    project = find_project(snapshot, config, wanted)
    source = snapshot.read(project.task) or b""
    plan = read_plan(source, project.task, plan_options(project))
    guarded = project.protected | {path_key(item.output) for item in plan.items}
    return ProjectState(commit, tree, snapshot, project, plan, source, guarded)


def require_runnable(project_state: ProjectState) -> None:
    """Refuse a plan with errors.

    Raises:
        PlanError: it has errors; the message shows all of its diagnostics.
    """
    if project_state.plan.errors:
        raise PlanError(
            f"{project_state.plan.path} can't be run: {summary(project_state.plan.diagnostics)}",
            "mend the plan, commit it and try again",
            render_diagnostics(project_state),
        )


def find_place_problem(project_state: ProjectState, output: str) -> str | None:
    """Why an output has no place in the commit, if so: what stands there, or on the way, is no file or folder."""
    for path in (*ancestors(output), output):
        entry = project_state.snapshot.objects.find_entry(project_state.tree, path)
        if entry is None or (entry.is_file if path == output else entry.is_tree):
            continue
        kinds = {SYMLINK: "a symlink", SUBMODULE: "a submodule"}
        return f"{path} is {kinds.get(entry.mode, 'a folder' if entry.is_tree else 'a file')}"
    return None


def render_diagnostics(project_state: ProjectState) -> str:
    """What there is to say about the plan, for people; empty if nothing."""
    return "\n\n".join(
        render_diagnostic(d, project_state.source, project_state.plan.path)
        for d in project_state.plan.diagnostics
    )
