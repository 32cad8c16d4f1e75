"""`gitbatch agents`: what is installed, which agents are configured, and a try of one of them."""

import os
import signal
from pathlib import Path
from typing import Annotated

import typer

from gitbatch.agents.process.table import ProcessTable
from gitbatch.agents.survey.survey import SurveyedProject, survey_agents
from gitbatch.batch.trial.before_start import check_before_start
from gitbatch.batch.trial.model import StepList, StepName, StepStatus, TrialStep
from gitbatch.batch.trial.repository import MAX_COST, TrialFolder, trial_repository
from gitbatch.batch.trial.watching import TrialWatch
from gitbatch.cli.batch import run_session
from gitbatch.cli.common import (
    HERE,
    Directory,
    Json,
    cache_dir,
    make_page,
    open_repository_of,
    print_output,
)
from gitbatch.cli.frontend import PromptFrontend
from gitbatch.cli.signals import ENDING_SIGNALS
from gitbatch.cli.verbosity import is_quiet, show_prose, show_text
from gitbatch.errors import ExitCode, GitbatchError
from gitbatch.limits.usage import format_dollars
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
    survey = survey_agents(read_surveyed_project(directory), cache_dir())
    if json:
        from gitbatch.view.outputs.agents import agents_output

        print_output(agents_output(survey))
        return
    from gitbatch.view.agents import render_survey

    make_page().show_block(render_survey(survey))


@app.command("try")
def try_agent(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="An agent of gitbatch.toml, as the disk has it.")
    ],
    keep: Annotated[bool, typer.Option("--keep", help="Keep the repository that it worked in.")] = False,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Let an agent work on one tiny item in a repository of its own, and show each step. Costs a little."""
    project = read_surveyed_project(directory)
    project.config.agent_name(name)
    show = _ignore_step if json else _show_step
    steps = StepList(show)
    with trial_repository(project, name, cache_dir(), keep=keep) as trial:
        ended = _run_trial(project, name, trial, steps, json=json)
    kept = str(trial.repository) if keep else None
    kind = str(project.config.agents[name].__struct_config__.tag)
    if json:
        from gitbatch.view.outputs.agents import trial_output

        print_output(trial_output(name, kind, tuple(steps.steps), kept, is_interrupted=ended is not None))
    else:
        _show_result(name, steps, kept, is_interrupted=ended is not None)
    raise typer.Exit(ended or (ExitCode.FAILED if steps.failures else ExitCode.DONE))


def _run_trial(
    project: SurveyedProject, name: str, trial: TrialFolder, steps: StepList, *, json: bool
) -> ExitCode | None:
    """Runs the steps of a trial; returns the exit code of a signal that ended it, if any."""
    if not json:
        show_text(f"trying agent {name} on one item, in a repository of its own")
    agent = check_before_start(project, name, steps)
    if agent is None:
        return None
    if not json:
        limit = (
            f"at most about {format_dollars(MAX_COST)}" if agent.knows_cost else "it has no limit in money"
        )
        show_text(f"  it is started now, which may cost a little ({limit}); Ctrl-C ends it")
    table = project.config.agents[name]
    watch = TrialWatch(steps, denies_other_files=isinstance(table, ProcessTable) and table.denies_other_files)
    settings = trial.make_settings(project.environment, knows_cost=agent.knows_cost)
    try:
        with open_repository_of(trial.repository) as repo:
            result = run_session(repo, settings, watch, PromptFrontend(can_ask=False))
    except GitbatchError as error:
        steps.note_failure(StepName.STARTED, error.message, error.advice)
        return None
    if isinstance(result, signal.Signals):
        steps.note_unknown(StepName.FILE, "interrupted")
        return ENDING_SIGNALS[result]
    watch.finish()
    return None


def _ignore_step(_: TrialStep) -> None:
    """Shows nothing: all steps are in the output for programs."""


def _show_step(step: TrialStep) -> None:
    if not is_quiet() or step.status is StepStatus.FAILED:
        from gitbatch.view.trial import render_step

        make_page().show_block(render_step(step))


def _show_result(name: str, steps: StepList, kept: str | None, *, is_interrupted: bool) -> None:
    if kept:
        show_text(f"kept: {kept}")
    failed = ", ".join(step.name for step in steps.failures)
    if is_interrupted:
        show_prose("interrupted", err=True)
    elif failed:
        show_prose(f"agent {name} cannot work like this: {failed}", err=True)
    else:
        show_text(f"agent {name} works")


def read_surveyed_project(directory: Path) -> SurveyedProject:
    """Returns the project that a directory is in, as the disk has it.

    Raises:
        PlanError: its gitbatch.toml is invalid.
    """
    folder = find_project_root(directory.resolve())
    return SurveyedProject(folder, parse_config(DiskSnapshot(folder).read(CONFIG_FILE)), dict(os.environ))
