"""`gitbatch plan`: shows what would run. Changes nothing."""

from pathlib import Path
from typing import Annotated

import typer

from gitbatch.batch.planning.project_state import ProjectView, read_project_state, require_runnable
from gitbatch.batch.planning.risks import add_risks
from gitbatch.batch.planning.target import find_plan_commit
from gitbatch.batch.planning.working_tree import read_working_tree
from gitbatch.cli.common import HERE, Directory, Json, choose_plan, open_repository_of, print_output
from gitbatch.cli.pager import read_git_variables, show_in_pager
from gitbatch.cli.plan_warnings import tell_warnings
from gitbatch.cli.unused_changes import tell_unused_changes
from gitbatch.errors import UsageError
from gitbatch.project.control import PlanChoice
from gitbatch.repo.refs.names import HEADS
from gitbatch.repo.repository import Repository
from gitbatch.view.early_start import find_early_start
from gitbatch.view.overview import plan_state
from gitbatch.view.plan_text import render_brief_plan, render_plan


def plan(
    task_md: Annotated[
        Path | None, typer.Argument(metavar="[TASK_MD]", help="The plan; the active phase's if not given.")
    ] = None,
    branch: Annotated[str | None, typer.Option(help="Read the plan from this branch.")] = None,
    working_tree: Annotated[
        bool, typer.Option("--working-tree", help="Show the plan as the disk has it. A run reads the commit.")
    ] = False,
    brief: Annotated[bool, typer.Option("--brief", help="Show a line for each group.")] = False,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Show what would run, as the commit has it: groups, items, outputs, what each reads, and the control files found."""
    if working_tree and branch is not None:
        raise UsageError("--branch and --working-tree exclude each other", "leave one of them out")
    variables = read_git_variables()
    with open_repository_of(directory, read_only=True) as repo:
        choice = choose_plan(repo, directory, task_md)
        view = read_working_tree(repo, choice) if working_tree else _read_commit(repo, choice, branch)
        require_runnable(view)
        tell_warnings(view)
        if brief and not json:
            show_in_pager(variables, render_brief_plan(plan_state(view)))
            return
        shown = plan_state(view, find_early_start(view))
        if json:
            print_output(shown)
        else:
            show_in_pager(variables, render_plan(shown))


def _read_commit(repo: Repository, choice: PlanChoice, branch: str | None) -> ProjectView:
    """Returns what a commit has, with what a run would refuse or warn of."""
    tell_unused_changes(repo, choice)
    state = read_project_state(repo, find_plan_commit(repo, branch), choice)
    require_runnable(state)
    return add_risks(repo, state, followed=branch is None or f"{HEADS}{branch}" == repo.head_branch())
