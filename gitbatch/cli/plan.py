"""`gitbatch plan`: shows what would run. Changes nothing."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from gitbatch.batch.planning.project_state import read_project_state, require_runnable
from gitbatch.batch.planning.risks import add_risks
from gitbatch.batch.planning.target import find_plan_commit
from gitbatch.cli.common import HERE, Directory, Json, choose_plan, make_page, open_repository_of
from gitbatch.cli.plan_warnings import tell_warnings
from gitbatch.repo.refs.names import HEADS
from gitbatch.view.overview import plan_state, render_plan


def plan(
    task_md: Annotated[
        Path | None, typer.Argument(metavar="[TASK_MD]", help="The plan; the active phase's if not given.")
    ] = None,
    branch: Annotated[str | None, typer.Option(help="Read the plan from this branch.")] = None,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Show what would run: groups, items, outputs, what each reads, and the control files found."""
    with open_repository_of(directory, read_only=True) as repo:
        project_state = read_project_state(
            repo, find_plan_commit(repo, branch), choose_plan(repo, directory, task_md)
        )
        require_runnable(project_state)
        project_state = add_risks(
            repo, project_state, followed=branch is None or f"{HEADS}{branch}" == repo.head_branch()
        )
        require_runnable(project_state)
        tell_warnings(project_state)
        shown = plan_state(project_state)
        if json:
            typer.echo(msgspec.json.encode(shown).decode())
        else:
            make_page().show_block(render_plan(shown))
