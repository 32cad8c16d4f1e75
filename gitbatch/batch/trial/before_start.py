"""The steps of a trial before anything is started: what can be said of an agent without a request."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from gitbatch.agents.pool import make_idle_pool
from gitbatch.agents.process.table import ProcessTable
from gitbatch.agents.protocol import Agent
from gitbatch.agents.survey.known_programs import KNOWN_PROGRAMS, find_key_variable, find_unused_keys
from gitbatch.agents.survey.program_search import ProgramSearch
from gitbatch.agents.survey.survey import SurveyedProject, find_unset_keys, network_of
from gitbatch.agents.survey.versions import ask_versions
from gitbatch.batch.trial.model import StepList, StepName
from gitbatch.errors import GitbatchError
from gitbatch.project.agent_table import AgentTable
from gitbatch.project.config import CONFIG_FILE
from gitbatch.project.sent_work import keep_here
from gitbatch.sandbox.model import SandboxKind
from gitbatch.sandbox.selection import select_sandbox


def check_before_start(project: SurveyedProject, name: str, steps: StepList) -> Agent | None:
    """Adds the steps before the start; returns the agent, or None if it cannot be started."""
    table = project.config.agents[name]
    if isinstance(table, ProcessTable) and not _check_process(project, name, table, steps):
        return None
    if not isinstance(table, ProcessTable):
        steps.note_ok(StepName.PROGRAM, "none: gitbatch itself sends the requests")
    return _check_key(project, name, table, steps)


def _check_process(project: SurveyedProject, name: str, table: ProcessTable, steps: StepList) -> bool:
    """Adds the steps about a program; returns whether it can be started."""
    path = find_program(project, table.command_line[0])
    if path is None:
        said = f"{table.command_line[0]} is not found on PATH, or cannot be executed"
        steps.note_failure(
            StepName.PROGRAM, said, f"install it, or correct its name under [agents.{name}] in {CONFIG_FILE}"
        )
        return False
    steps.note_ok(StepName.PROGRAM, str(path))
    if not _check_version(project, path, steps):
        return False
    try:
        steps.note_ok(StepName.SANDBOX, select_sandbox(SandboxKind(table.sandbox)).kind)
    except GitbatchError as error:
        steps.note_failure(StepName.SANDBOX, error.message, error.advice)
        return False
    return True


def find_program(project: SurveyedProject, program: str) -> Path | None:
    """Returns the file of a program; a relative path is one in the user's repository."""
    if "/" in program and not program.startswith("/"):
        file = project.root / program.removeprefix("{worktree}/")
        return file if file.is_file() and os.access(file, os.X_OK) else None
    found = shutil.which(program, path=project.environment.get("PATH", os.defpath))
    return Path(found) if found else None


def _check_version(project: SurveyedProject, path: Path, steps: StepList) -> bool:
    """Adds the step about the version of a known program; returns whether it is that program."""
    known = KNOWN_PROGRAMS.get(path.name)
    search = ProgramSearch.from_path(project.environment.get("PATH", ""), project.root)
    if known is None or not known.says_version or not search.may_start(path):
        steps.note_unknown(StepName.VERSION, "not asked: gitbatch does not know that it says its version")
        return True
    report = ask_versions({path: known}, search.path)[path]
    if known.version_mark and report.version and report.problem:
        steps.note_failure(StepName.VERSION, report.problem, f"install {known.title}, or name its path")
        return False
    if report.problem:
        steps.note_unknown(StepName.VERSION, report.problem)
    else:
        steps.note_ok(StepName.VERSION, report.version)
    return True


def _check_key(project: SurveyedProject, name: str, table: AgentTable, steps: StepList) -> Agent | None:
    """Adds the steps about the key and the other settings; returns the agent, or None if it cannot be made."""
    try:
        agent = make_idle_pool(project.environment).get_agent(name, keep_here(project.config))
    except GitbatchError as error:
        is_of_key = any(variable in error.message for variable in table.secret_variables)
        step = StepName.KEY if is_of_key else StepName.SETTINGS
        steps.note_failure(step, error.message, error.advice)
        return None
    said = [note.removeprefix(f"agent {name}: ") for note in agent.notes]
    if network := network_of(agent, table):
        shown = (note.removeprefix("network: ") for note in said if note.startswith("network: "))
        steps.note_ok(StepName.NETWORK, next(shown, network))
    _note_key(table, project.environment, steps)
    for note in said:
        if not note.startswith("network: "):
            steps.note_ok(StepName.SETTINGS, note)
    return agent


def _note_key(table: AgentTable, environment: Mapping[str, str], steps: StepList) -> None:
    """Adds the step about the variable that has the key."""
    if unset := find_unset_keys(table, environment):
        steps.note_unknown(
            StepName.KEY, f"not set: {', '.join(unset)}", f"export {unset[0]}=… if it needs one"
        )
    elif variable := find_key_variable(table.secret_variables, environment):
        unused = find_unused_keys(table.secret_variables, environment)
        also = f" ({', '.join(unused)} set too, and not passed)" if unused else ""
        steps.note_ok(StepName.KEY, f"in {variable}{also}")
    else:
        steps.note_ok(StepName.KEY, "none: its table names no variable (pass-env)")
