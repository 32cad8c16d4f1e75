"""Finding the plan and the control files that belong to it. Rules O2, C1, C2.

With a scope section in CLAUDE.md, the phase decides which plan runs. Without one, the project has a single phase, and its
plan is the one that the user names, anywhere in the repository; else the nearest task.md from the current folder
upwards; else the one in `docs/`.
"""

import posixpath
from collections.abc import Callable, Iterable
from functools import partial
from typing import NoReturn

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.errors import PlanError
from gitbatch.paths import ancestors, path_key
from gitbatch.plan.help_texts import Advice, Language
from gitbatch.plan.model import PlanOptions
from gitbatch.plan.outputs import INCLUDE_FILE, INVENTORIES, is_inventory, path_problem
from gitbatch.project.config import CONFIG_FILE, Config
from gitbatch.project.phases import Phase
from gitbatch.project.scope import SCOPE_FILE, advise_phase, find_active_phase, find_language
from gitbatch.project.sections import require_text
from gitbatch.project.snapshot import Snapshot

PLAN_FILE, STATUS, DECISIONS, RULES = "task.md", "status.md", "decisions-log.md", "rules.md"
CONVENTIONAL = (PLAN_FILE, f"docs/{PLAN_FILE}")
"""The plans that a project without phases has by convention; the first that exists is the one."""

_CHANGE_SCOPE = Advice(
    "change the active scope in CLAUDE.md: gitbatch runs only its phase",
    "ändere den aktiven Scope in CLAUDE.md: gitbatch führt nur dessen Phase aus",
)
_WRITE_PLAN = Advice(
    "write {path} (or all files: gitbatch init) and commit it:\n\n## Work Packages\n\n### Group name\n"
    "- [ ] First piece of work",
    "schreibe {path} (oder alle Dateien: gitbatch init --lang de) und committe sie:\n\n## Arbeitspakete\n\n"
    "### Name der Gruppe\n- [ ] Erster Punkt",
)


class PlanChoice(Struct, frozen=True):
    """The plan that is wanted. Paths are repository paths."""

    path: str | None = None
    """The plan that was named; None: the one that is found by convention."""
    folder: str = ""
    """The current folder, from which the nearest task.md is looked for upwards."""
    is_recorded: bool = False
    """The plan of a batch that has started. If CLAUDE.md names a phase meanwhile, that phase's plan is read instead."""


BY_CONVENTION = PlanChoice()
"""No plan is named."""


class Project(Struct, frozen=True):
    """A project in one commit. Paths are repository paths."""

    phase: Phase
    plan_path: str
    status: str
    """The path of the status, or the path that it will be written to."""
    decisions: str
    """The path of the decisions log, or the path that it will be written to."""
    rules: str | None
    contexts: tuple[str, ...]
    """The phase's context documents."""
    artifacts: tuple[str, ...]
    """The phase's shared artifacts: those of the configuration, present or not, and the inventories next to the plan."""
    config: Config

    @property
    def shared_files(self) -> tuple[str, ...]:
        """Returns the files that only an orchestrator commit changes."""
        return (self.plan_path, self.status, self.decisions, *self.artifacts)

    @property
    def folder(self) -> str:
        """Returns the folder of the plan; it ends in a slash or is empty."""
        return _folder_of(self.plan_path)

    @property
    def _folders(self) -> tuple[str, ...]:
        """Returns the folders in which a control file may be; each ends in a slash or is empty."""
        return tuple(dict.fromkeys((*_search_folders(self.phase), self.folder)))

    @property
    def possible_artifacts(self) -> frozenset[str]:
        """Returns the paths of shared artifacts in every folder that is searched, and those of all inventories."""
        names = self.config.project.shared
        looked_for = (f"{folder}{name}" for folder in self._folders for name in names)
        return frozenset((*self.artifacts, *looked_for, f"{self.folder}{INVENTORIES}"))

    def find_artifact(self, name: str) -> str | None:
        """Returns the path of the shared artifact that a contribution names, by its name or path.

        An inventory that does not exist yet is found too, as contributions to it create it.
        """
        names = {path_key(path.rpartition("/")[2]): path for path in reversed(self.artifacts)}
        names |= {path_key(path): path for path in self.artifacts}
        known = names.get(path_key(name)) or names.get(path_key(name.removeprefix("./")))
        if known:
            return known
        path = f"{self.folder}{name.removeprefix('./').removeprefix(self.folder)}"
        return path if is_inventory(path, self.folder) and not path_problem(path) else None

    @property
    def protected(self) -> frozenset[str]:
        """Returns the keys of all paths that no item may write: control files in every folder that is searched."""
        names = [
            PLAN_FILE,
            STATUS,
            DECISIONS,
            RULES,
            *self.config.project.context_documents,
        ]
        looked_for = [f"{folder}{name}" for folder in self._folders for name in names]
        fixed = (SCOPE_FILE, CONFIG_FILE, INCLUDE_FILE)
        found = (*self.shared_files, *fixed, *looked_for, *self.possible_artifacts)
        return frozenset(map(path_key, found))

    @property
    def read_files(self) -> tuple[str, ...]:
        """Returns the files that decide what runs and how: all are read from the commit."""
        return (
            CONFIG_FILE,
            SCOPE_FILE,
            self.plan_path,
            *((self.rules,) if self.rules else ()),
            *self.contexts,
        )


def find_project(snapshot: Snapshot, config: Config, choice: PlanChoice = BY_CONVENTION) -> Project:
    """Returns the project in a commit, with the plan that is wanted.

    Raises:
        PlanError: the plan does not exist, or is not the active phase's; CLAUDE.md or a context document is not
            readable text.
    """
    phase, language = find_active_phase(snapshot, config), partial(find_language, snapshot, config)
    if phase is None:
        plan_path = _find_single_plan(snapshot, choice, language) or _refuse_without_plan(snapshot, config)
    else:
        plan_path = _find_plan_of_phase(snapshot, phase, language)
        _require_active(choice, plan_path, language)
    here = phase or Phase("", "")
    folder_of_plan = _folder_of(plan_path)
    folders = _search_folders(phase) if phase else tuple(dict.fromkeys((folder_of_plan, "docs/", "")))
    is_elsewhere = phase is None and plan_path != _first_file(snapshot, CONVENTIONAL)

    def find(name: str) -> str | None:
        return _first_file(snapshot, (f"{folder}{name}" for folder in folders))

    def find_written(name: str) -> str:
        """Returns where the plan's own shared file is, or is to be written."""
        beside = f"{folder_of_plan}{name}"
        return beside if is_elsewhere else find(name) or beside

    contexts = tuple(filter(None, map(find, config.project.context_documents)))
    rules = find(RULES)
    for path in filter(None, (*contexts, rules)):
        require_text(path, snapshot.read(path) or b"")
    configured = map(find_written, config.project.shared)
    return Project(
        phase=here,
        plan_path=plan_path,
        status=find_written(STATUS),
        decisions=find_written(DECISIONS),
        rules=rules,
        contexts=contexts,
        artifacts=tuple(dict.fromkeys((*configured, *_find_inventories(snapshot, folder_of_plan)))),
        config=config,
    )


def _find_inventories(snapshot: Snapshot, folder: str) -> tuple[str, ...]:
    """Returns the paths of the inventories next to the plan."""
    paths = (f"{folder}{name}" for name in snapshot.list_folder(folder.rstrip("/")).files)
    return tuple(path for path in paths if is_inventory(path, folder))


def _find_plan_of_phase(snapshot: Snapshot, phase: Phase, language: Callable[[], Language]) -> str:
    found = _first_file(snapshot, (f"{folder}{PLAN_FILE}" for folder in _search_folders(phase)))
    return found or _refuse_missing(_search_folders(phase), language)


def _require_active(choice: PlanChoice, plan_path: str, language: Callable[[], Language]) -> None:
    """Refuses a plan that the user names, if it is not the one of the active phase (rule O2)."""
    if choice.path is not None and choice.path != plan_path and not choice.is_recorded:
        raise PlanError(
            f"{choice.path} is not the plan of the active phase, which is {plan_path}",
            _CHANGE_SCOPE.in_language(language()),
        )


def _find_single_plan(snapshot: Snapshot, choice: PlanChoice, language: Callable[[], Language]) -> str | None:
    """Returns the plan of a project without phases; None if none is named and none is found."""
    if choice.path is None:
        above = (*reversed((*ancestors(choice.folder), choice.folder)), "") if choice.folder else ("",)
        near = (f"{folder}/{PLAN_FILE}".lstrip("/") for folder in above)
        return _first_file(snapshot, (*near, *CONVENTIONAL))
    if not snapshot.blob(choice.path):
        _refuse_absent(snapshot, choice, choice.path, language)
    if posixpath.basename(path_key(choice.path)) in {STATUS, DECISIONS, RULES, path_key(SCOPE_FILE)}:
        raise PlanError(f"{choice.path} is a control file and no plan", f"name a plan, such as {PLAN_FILE}")
    return choice.path


def _refuse_absent(
    snapshot: Snapshot, choice: PlanChoice, path: str, language: Callable[[], Language]
) -> NoReturn:
    """Refuses a plan that the commit does not have."""
    inside = PLAN_FILE if path == "." else f"{path}/{PLAN_FILE}"
    if snapshot.blob(inside):
        raise PlanError(f"{path} is a folder and no plan", f"name the plan in it: {inside}")
    advice = "restore the plan and commit it, or end the batch: gitbatch abort"
    if not choice.is_recorded:
        advice = _WRITE_PLAN.fill(path=path).in_language(language())
    raise PlanError(f"the commit has no file {path}", advice)


def _refuse_without_plan(snapshot: Snapshot, config: Config) -> NoReturn:
    """Refuses a project in which no plan is found: a phase has to be named if there are some, else a plan written."""
    state = advise_phase(snapshot, config)
    if state:
        message = f"missing {PLAN_FILE} in the top folder or docs/, and {SCOPE_FILE} has no scope section"
        raise PlanError(message, state.english)
    _refuse_missing(("", "docs/"), lambda: Language.EN)


def _refuse_missing(folders: tuple[str, ...], language: Callable[[], Language]) -> NoReturn:
    *first, last = (folder or "the top folder" for folder in folders)
    advice = _WRITE_PLAN.fill(path=f"{folders[0]}{PLAN_FILE}").in_language(language())
    raise PlanError(f"missing {PLAN_FILE} in {', '.join(first)} or {last}", advice)


def _first_file(snapshot: Snapshot, paths: Iterable[str]) -> str | None:
    return next((path for path in paths if snapshot.blob(path)), None)


def _folder_of(path: str) -> str:
    """Returns the folder of a path, with a slash at its end; empty for the top folder."""
    folder = posixpath.dirname(path)
    return f"{folder}/" if folder else ""


def _search_folders(phase: Phase) -> tuple[str, ...]:
    """Returns the folders in which control files are searched, in order; each ends in a slash or is empty."""
    return tuple(dict.fromkeys((f"{phase.folder}/" if phase.folder else "", "docs/", "")))


def plan_options(project: Project) -> PlanOptions:
    """Returns the options for reading the plan of a project.

    A plan that is neither a phase's nor at a conventional path has assigned outputs below its own path, so that those
    of two plans do not collide: `api/task.md` has `api/…`, and `plans/one.md` has `plans/one/…`.
    """
    name, folder = project.phase.name, project.phase.folder
    if not name and project.plan_path not in CONVENTIONAL:
        folder = posixpath.dirname(project.plan_path)
        name = (
            folder
            if project.plan_path.endswith(f"/{PLAN_FILE}")
            else posixpath.splitext(project.plan_path)[0]
        )
    options = project.config.plan_options(name, folder, project.protected)
    return replace(options, artifacts=project.possible_artifacts)
