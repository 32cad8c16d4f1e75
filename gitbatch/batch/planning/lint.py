"""Linting a project: a plan with what a run of it would refuse or regret, as the disk has it, or as a run would read it.

What depends on this machine (programs, keys, sandboxes, folders) is a warning, so that another machine can lint; it is an
error where the question is whether a batch can start here and now (`lint_start`). No program that the repository names
is started, no signature is tried, and nothing is fetched.
"""

from collections.abc import Iterable, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.pool import make_idle_pool
from gitbatch.batch.history.ledger import SpendingLimits
from gitbatch.batch.history.record import unfinished_batch
from gitbatch.batch.planning.check_problems import find_unmatched_patterns
from gitbatch.batch.planning.checkout_files import find_checkout_files
from gitbatch.batch.planning.item_problems import AGENT_UNKNOWN
from gitbatch.batch.planning.project_state import ProjectState, ProjectView, read_project_state
from gitbatch.batch.planning.risks import add_risks, find_risks
from gitbatch.batch.planning.start_checks import (
    Folders,
    StartCheck,
    StartChoice,
    find_refusals,
    machine_checks,
    start_checks,
)
from gitbatch.batch.planning.surroundings import DiskSurroundings
from gitbatch.batch.planning.target import Target, find_plan_commit, find_target
from gitbatch.errors import GitbatchError, PlanError
from gitbatch.plan.findings import Findings
from gitbatch.plan.help_texts import Advice, Language
from gitbatch.plan.model import Diagnostic, Hints, Plan
from gitbatch.plan.parse import read_plan
from gitbatch.plan.source import Span, read
from gitbatch.project.config import CONFIG_FILE, read_config
from gitbatch.project.config_diagnostics import (
    CONFIG_INVALID,
    find_config_diagnostics,
    find_key_diagnostics,
    locate_setting,
)
from gitbatch.project.control import PlanChoice, find_project, plan_options
from gitbatch.project.lint import (
    NOT_ON_THIS_MACHINE,
    Checked,
    check_plan,
    check_scope,
    find_project_root,
    read_project_on_disk,
)
from gitbatch.project.scope import SCOPE_FILE
from gitbatch.project.snapshot import Snapshot
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository
from gitbatch.repo.snapshot import TreeSnapshot

CANNOT_START = "GB413"
"""A batch cannot start in this repository now."""

_CODES = {"batch": AGENT_UNKNOWN, "agents": CONFIG_INVALID}
"""The codes of what does not depend on the machine, by the table: which agent is meant, and limits."""
_Refusal = tuple[StartCheck, GitbatchError]


class LintSettings(Struct, frozen=True):
    """What the machine is for a linted project."""

    environment: Mapping[str, str]
    folders: Folders


def lint_plan(path: Path, settings: LintSettings, text: bytes | None = None) -> tuple[Checked, ...]:
    """Returns a plan of the disk with its diagnostics; then the configuration, if it has some.

    Args:
        path: the plan.
        settings: the machine.
        text: the text of the plan, where it is not that of the disk.

    Raises:
        UsageError: the file cannot be read.
    """
    checked = check_plan(path, find_checkout_files, text)
    here = path.resolve()
    try:
        repo = open_repository(here.parent, read_only=True)
    except GitbatchError:
        root = find_project_root(here.parent)
        files = find_checkout_files(root)
        scope = check_scope(files, _show_file(SCOPE_FILE, path, here, root))
        shown = _show_file(CONFIG_FILE, path, here, root)
        return checked, *((scope,) if scope else ()), *_report_config(files, (), shown, checked.plan.language)
    with closing(repo):
        around = DiskSurroundings.of_checkout(repo)
        files, root = around.snapshot, repo.root.resolve()
        shown = _show_file(CONFIG_FILE, path, here, root)
        project = read_project_on_disk(files, here.relative_to(root).as_posix())
        if checked.plan.errors or project is None:
            scope = check_scope(files, _show_file(SCOPE_FILE, path, here, root))
            return (
                checked,
                *((scope,) if scope else ()),
                *_report_config(files, (), shown, checked.plan.language),
            )
        found = find_risks(checked.plan, checked.source, project, around)
        if _has_config_problems(files):  # which agents there are is not known
            known = _with_more(checked, (d for d in found if d.code != AGENT_UNKNOWN))
            return known, *_report_config(files, (), shown, checked.plan.language)
        view = ProjectView("", files, project, checked.plan, checked.source)
        unclear, choice = _choose_all(view, settings)
        refusals = find_refusals(machine_checks(repo, view, choice) if choice else ())
        placed = _place_in_config(view, (*unclear, *refusals), is_here=False)
        more = (*placed, *find_unmatched_patterns(view))
        return _with_more(checked, found), *_report_config(files, more, shown, checked.plan.language)


def _show_file(file: str, path: Path, full: Path, root: Path) -> str:
    """Returns the path of a file at the top as the plan's path is given: relative to the same folder if possible."""
    given, name = str(path), full.relative_to(root).as_posix()
    return f"{given.removesuffix(name)}{file}" if given.endswith(name) else str(root / file)


def open_to_start(directory: Path) -> tuple[Repository, tuple[GitbatchError, ...]]:
    """Opens a repository as a run does; returns it, and why a run would not open it if it can only be read.

    Raises:
        GitbatchError: it cannot be read either.
    """
    try:
        return open_repository(directory), ()
    except GitbatchError as error:
        return open_repository(directory, read_only=True), (error,)


def lint_start(
    repo: Repository, choice: PlanChoice, settings: LintSettings, refusals: tuple[GitbatchError, ...] = ()
) -> tuple[Checked, ...]:
    """Returns the committed plan and configuration with everything that keeps a batch of all open items from starting.

    Args:
        repo: the repository.
        choice: the plan.
        settings: the machine.
        refusals: the errors of `open_to_start`.

    Raises:
        GitbatchError: the repository has no commit, or the commit has no plan.
    """
    refused = list(refusals)
    target = _find_target(repo, refused)
    snapshot = TreeSnapshot(repo.objects, repo.objects.tree_of(target.tip))
    try:
        state = read_project_state(repo, target.tip, choice)
    except PlanError:
        plans = _report_plan(snapshot, choice)
        language = plans[0].plan.language if plans else Language.EN
        if not _has_config_problems(snapshot):
            raise
        return *plans, *_report_config(snapshot, (), CONFIG_FILE, language)
    on_config: tuple[Diagnostic, ...] = ()
    if not state.plan.errors:
        state = add_risks(repo, state, followed=target.followed)
        unclear, of_all = _choose_all(state, settings)
        found = tuple(find_refusals(_find_checks(repo, target, state, of_all) if of_all else ()))
        refused += (error for check, error in found if not check.setting)
        placed = _place_in_config(state, (*unclear, *found), is_here=True)
        on_config = (*placed, *find_unmatched_patterns(state))
    findings = Findings(read(state.source)[0])
    for error in refused:
        findings.error(CANNOT_START, Span(0, 0), error.message, Advice.in_english(error.advice))
    plan = replace(state.plan, diagnostics=(*findings.in_order(), *state.plan.diagnostics))
    return Checked(state.project.plan_path, state.source, plan), *_report_config(snapshot, on_config)


def _with_more(checked: Checked, more: Iterable[Diagnostic]) -> Checked:
    return replace(checked, plan=replace(checked.plan, diagnostics=(*checked.plan.diagnostics, *more)))


def _report_plan(files: Snapshot, choice: PlanChoice) -> tuple[Checked, ...]:
    """Returns the plan, read with what is valid of the configuration; nothing if it is not found."""
    try:
        project = find_project(files, read_config(files.read(CONFIG_FILE)).config, choice)
    except PlanError:
        return ()
    source = files.read(project.plan_path) or b""
    return (Checked(project.plan_path, source, read_plan(source, project.plan_path, plan_options(project))),)


def _find_target(repo: Repository, refused: list[GitbatchError]) -> Target:
    """Returns the branch that a batch would run on; without one, HEAD, and `refused` gets the reason."""
    try:
        return find_target(repo, None)
    except GitbatchError as error:
        refused.append(error)
        return Target("HEAD", find_plan_commit(repo, None), exists=True, followed=True)


def _find_checks(
    repo: Repository, target: Target, state: ProjectState, choice: StartChoice
) -> tuple[StartCheck, ...]:
    """Returns the checks of a start; those of the machine alone if the next run resumes a batch."""
    if unfinished_batch(repo):
        return machine_checks(repo, state, choice)
    return start_checks(repo, target, state, choice)


def _choose_all(view: ProjectView, settings: LintSettings) -> tuple[tuple[_Refusal, ...], StartChoice | None]:
    """Returns the choice of all open items; None if nothing would start, or if it is not clear which agent is meant."""
    config = view.project.config
    items = tuple(item for item in view.plan.items if not item.done)
    if view.plan.is_complete or not items:
        return (), None
    try:
        agent = config.agent_name(None)
    except PlanError as error:
        unclear = StartCheck(partial(config.agent_name, None), ("batch", "agent"), is_of_machine=False)
        return ((unclear, error),), None
    return (), StartChoice(
        items, agent, make_idle_pool(settings.environment), SpendingLimits(), settings.folders
    )


def _place_in_config(
    view: ProjectView, refusals: Iterable[_Refusal], *, is_here: bool
) -> tuple[Diagnostic, ...]:
    """Returns the refusals that are about a setting as diagnostics of the configuration."""
    source = view.snapshot.read(CONFIG_FILE) or b""
    findings = Findings(read(source)[0])
    for check, error in refusals:
        if check.setting:
            code = NOT_ON_THIS_MACHINE if check.is_of_machine else _CODES[check.setting[0]]
            report = findings.error if is_here or not check.is_of_machine else findings.warning
            advice = Advice.in_english(error.advice)
            report(code, locate_setting(source, check.setting), error.message, advice)
    return findings.in_order()


def _has_config_problems(files: Snapshot) -> bool:
    return bool(read_config(files.read(CONFIG_FILE)).problems)


def _report_config(
    files: Snapshot,
    more: tuple[Diagnostic, ...],
    shown: str = CONFIG_FILE,
    language: Language = Language.EN,
) -> tuple[Checked, ...]:
    """Returns the configuration with its problems and more diagnostics; nothing if it has none. `shown`: its path."""
    source = files.read(CONFIG_FILE) or b""
    reading = read_config(source)
    problems = find_config_diagnostics(source, reading.problems, language)
    diagnostics = (*problems, *find_key_diagnostics(source, reading.config.find_keys(), language), *more)
    empty = Plan(shown, (), (), Hints(), diagnostics)
    return (Checked(shown, source, empty),) if diagnostics else ()
