"""`gitbatch agents`: what is installed, which agents are configured, and a try of one of them."""

import os
from pathlib import Path

import typer

from gitbatch.agents.survey.survey import SurveyedProject, survey_agents
from gitbatch.cli.common import HERE, Directory, Json, make_page, print_output
from gitbatch.project.config import CONFIG_FILE, parse_config
from gitbatch.project.disk import DiskSnapshot
from gitbatch.project.lint import find_project_root

app = typer.Typer(
    add_completion=False,
    invoke_without_command=True,
    help="Show the agents of this machine and of gitbatch.toml, and whether they can work; try one of them.",
)


@app.callback()
def root(context: typer.Context, json: Json = False, directory: Directory = HERE) -> None:
    """Show the agents of this machine and of gitbatch.toml, and whether they can work; try one of them."""
    if context.invoked_subcommand is None:
        list_agents(json=json, directory=directory)


@app.command("list")
def list_agents(json: Json = False, directory: Directory = HERE) -> None:
    """Show what is installed and configured. Nothing is sent, and no login is read."""
    survey = survey_agents(read_surveyed_project(directory))
    if json:
        from gitbatch.view.outputs.agents import agents_output

        print_output(agents_output(survey))
        return
    from gitbatch.view.agents import render_survey

    make_page().show_block(render_survey(survey))


def read_surveyed_project(directory: Path) -> SurveyedProject:
    """Returns the project that a directory is in, as the disk has it.

    Raises:
        PlanError: its gitbatch.toml is invalid.
    """
    folder = find_project_root(directory.resolve())
    return SurveyedProject(folder, parse_config(DiskSnapshot(folder).read(CONFIG_FILE)), dict(os.environ))
