"""The service of `gitbatch check`: checks and gates on the working tree, or on a commit, without a batch."""

import asyncio
from collections.abc import Callable
from functools import partial

from msgspec import Struct

from gitbatch.batch.by_hand.choice import CheckChoice, choose_checks
from gitbatch.batch.by_hand.run import CheckedFiles, HandResult, programs_of, run_checks
from gitbatch.batch.by_hand.trees import CheckBase, CheckHost, open_check_setup
from gitbatch.batch.planning.check_problems import require_program
from gitbatch.batch.planning.project_state import ProjectView, read_project_state, require_runnable
from gitbatch.batch.planning.working_tree import read_disk_view
from gitbatch.checks.verdict import CheckVerdict
from gitbatch.errors import ExitCode, UsageError
from gitbatch.paths import path_key
from gitbatch.project.control import PlanChoice
from gitbatch.repo.checkout.changes import list_changed
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text


class CheckOrder(Struct, frozen=True):
    """What a user wants to be checked."""

    names: tuple[str, ...] = ()
    """Paths and items."""
    gates: tuple[str, ...] = ()
    revision: str | None = None
    """The commit whose files are checked; None: those of the working tree."""
    folder: str = ""
    """The current folder, as a path in the repository."""


class HandRun(Struct, frozen=True):
    """The results of checks by hand."""

    commit: str
    """The commit whose files were checked; empty: those of the working tree."""
    results: tuple[HandResult, ...]
    unchecked: tuple[str, ...]
    """Named outputs that have no check."""
    not_run: tuple[tuple[str, str], ...]
    """Output and name of each check of an agent: it is asked in a batch only."""

    @property
    def code(self) -> ExitCode:
        """The exit code: whether something is red, or gave no verdict."""
        verdicts = {each.result.verdict for each in self.results}
        if CheckVerdict.RED in verdicts:
            return ExitCode.FAILED
        return ExitCode.TRY_AGAIN if CheckVerdict.UNAVAILABLE in verdicts else ExitCode.DONE


def check_by_hand(
    repo: Repository,
    choice: PlanChoice,
    order: CheckOrder,
    machine: CheckHost,
    show: Callable[[HandResult], None],
    tell: Callable[[str], None] = lambda _: None,
) -> HandRun:
    """Runs checks and gates; changes nothing in the repository. Call it outside an event loop.

    Args:
        repo: the repository.
        choice: the plan.
        order: what is wanted.
        machine: environment and folders.
        show: gets each result when it comes.
        tell: gets lines about what is prepared for them.

    Raises:
        UsageError: something that is named does not exist.
        PlanError: the configuration or the plan is wrong.
        GitbatchError: a program is missing, or its sandbox does not work.
    """
    view, files = _read_files(repo, choice, order.revision)
    require_runnable(view)
    chosen = choose_checks(view, order.names, order.gates, order.folder)
    config = view.project.config
    guarded = view.project.protected | {path_key(item.output) for item in view.plan.items}
    base = CheckBase(files.commit, guarded, tell)
    with open_check_setup(repo, config, machine, base) as setup:
        has_file = partial(_has_file, view)
        for setting, table in chosen.programs:
            require_program(setting, table, setup.tools.services, has_file)
        running = run_checks(setup, files, chosen, config.batch.jobs, show)
        results = asyncio.run(running)
    commit = files.commit if files.root is None else ""
    return HandRun(commit, results, chosen.unchecked, _list_not_run(chosen))


def _read_files(
    repo: Repository, choice: PlanChoice, revision: str | None
) -> tuple[ProjectView, CheckedFiles]:
    commit = find_commit(repo, revision or "HEAD")
    if revision is not None:
        return read_project_state(repo, commit, choice), CheckedFiles(commit)
    view = read_disk_view(repo, choice)
    return view, CheckedFiles(commit, repo.root, list_changed(repo, commit))


def find_commit(repo: Repository, revision: str) -> str:
    """Returns the commit that a revision names.

    Raises:
        UsageError: it names none.
    """
    wanted = () if revision.startswith("-") else (f"{revision}^{{commit}}",)
    said = repo.git.run("rev-parse", "--verify", "--quiet", *wanted, check=False).stdout.decode().strip()
    if not said:
        raise UsageError(f"{clean_text(revision)} names no commit here", "name a branch, a tag or a commit")
    return said


def _has_file(view: ProjectView, path: str) -> bool:
    return view.snapshot.blob(path) is not None


def _list_not_run(chosen: CheckChoice) -> tuple[tuple[str, str], ...]:
    run = programs_of(chosen)
    return tuple((check.output, check.name) for check in chosen.checks if check not in run)
