"""Finding the control files of the active phase. Rules O2, C1, C2."""

from msgspec import Struct

from gitbatch.errors import PlanError
from gitbatch.paths import path_key
from gitbatch.plan.model import PlanOptions
from gitbatch.plan.outputs import INCLUDE_FILE
from gitbatch.project.config import CONFIG_FILE, Config
from gitbatch.project.scope import SCOPE_FILE, Phase, find_active_phase
from gitbatch.project.sections import require_text
from gitbatch.project.snapshot import Snapshot

TASK, STATUS, DECISIONS, RULES = "task.md", "status.md", "decisions-log.md", "rules.md"


class Project(Struct, frozen=True):
    """A project in one commit. Paths are repository paths."""

    phase: Phase
    task: str
    status: str
    """The path of the status, or the path that it will be written to."""
    decisions: str
    """The path of the decisions log, or the path that it will be written to."""
    rules: str | None
    contexts: tuple[str, ...]
    """The phase's context documents."""
    artifacts: tuple[str, ...]
    """The phase's shared artifacts, present or not."""
    config: Config

    @property
    def shared_files(self) -> tuple[str, ...]:
        """Returns the files that only an orchestrator commit changes."""
        return (self.task, self.status, self.decisions, *self.artifacts)

    @property
    def protected(self) -> frozenset[str]:
        """Returns the keys of all paths that no item may write: control files in every folder that is searched."""
        names = [
            TASK,
            STATUS,
            DECISIONS,
            RULES,
            *self.config.project.context_documents,
            *self.config.project.shared,
        ]
        looked_for = [f"{folder}{name}" for folder in _search_folders(self.phase) for name in names]
        found = (*self.shared_files, SCOPE_FILE, CONFIG_FILE, INCLUDE_FILE, *looked_for)
        return frozenset(map(path_key, found))


def find_project(snapshot: Snapshot, config: Config, wanted: str | None = None) -> Project:
    """Returns the project in a commit.

    Args:
        snapshot: the commit.
        config: its configuration.
        wanted: the task.md that the user named; it must be the active phase's.

    Raises:
        PlanError: there is not exactly one task.md, or the wanted one is not the active phase's; CLAUDE.md or a
            context document is not readable text.
    """
    phase = find_active_phase(snapshot, config)
    task = _find_plan_path(snapshot, phase, wanted)
    if wanted is not None and wanted != task:
        raise PlanError(
            f"{wanted} is not the plan of the active phase, which is {task}",
            "change the active scope in CLAUDE.md: gitbatch runs only its phase",
        )
    here = phase or Phase("", "")
    folder_of_plan = task.removesuffix(TASK)
    folders = _search_folders(phase) if phase else dict.fromkeys((folder_of_plan, "docs/", ""))

    def find(name: str) -> str | None:
        return next((f"{folder}{name}" for folder in folders if snapshot.blob(f"{folder}{name}")), None)

    contexts = tuple(filter(None, map(find, config.project.context_documents)))
    for path in contexts:
        require_text(path, snapshot.read(path) or b"")
    return Project(
        phase=here,
        task=task,
        status=find(STATUS) or f"{folder_of_plan}{STATUS}",
        decisions=find(DECISIONS) or f"{folder_of_plan}{DECISIONS}",
        rules=find(RULES),
        contexts=contexts,
        artifacts=tuple(find(name) or f"{folder_of_plan}{name}" for name in config.project.shared),
        config=config,
    )


def _find_plan_path(snapshot: Snapshot, phase: Phase | None, wanted: str | None) -> str:
    if phase is not None:
        candidates = [
            f"{folder}{TASK}" for folder in _search_folders(phase) if snapshot.blob(f"{folder}{TASK}")
        ][:1]
    else:
        candidates = [path for path in (TASK, f"docs/{TASK}") if snapshot.blob(path)]
        candidates = [wanted] if wanted in candidates else candidates
    if not candidates:
        where = f"{phase.folder}/, docs/ or the top folder" if phase else "the top folder or docs/"
        raise PlanError(f"missing {TASK} in {where}", f"write a plan and commit it: git add {TASK}")
    if len(candidates) > 1:
        advice = (
            f"name one: gitbatch run {candidates[0]}; or name a phase under Aktiver Scope in {SCOPE_FILE}"
        )
        raise PlanError(f"there is more than one plan: {' and '.join(candidates)}", advice)
    return candidates[0]


def _search_folders(phase: Phase) -> tuple[str, ...]:
    """Returns the folders in which control files are searched, in order; each ends in a slash or is empty."""
    return tuple(dict.fromkeys((f"{phase.folder}/" if phase.folder else "", "docs/", "")))


def plan_options(project: Project) -> PlanOptions:
    """Returns the options for reading the plan of a project."""
    return project.config.plan_options(project.phase.name, project.phase.folder, project.protected)
