"""The output of `gitbatch agents --json`, and of `gitbatch agents try --json`."""

import msgspec

from gitbatch.agents.survey.program_search import SkippedFolder
from gitbatch.agents.survey.survey import AgentSurvey, ConfiguredAgent, InstalledProgram
from gitbatch.batch.trial.model import StepStatus, TrialStep
from gitbatch.errors import ErrorKind
from gitbatch.view.envelope import Envelope, make_report


class AgentsOutput(Envelope, frozen=True):
    """The known programs of this machine, and the agents of gitbatch.toml with their state."""

    programs: tuple[InstalledProgram, ...]
    agents: tuple[ConfiguredAgent, ...]
    sandbox: str
    """The sandbox of agents that ask for none by name; empty: none works here."""
    sandbox_problem: str
    skipped: tuple[SkippedFolder, ...]
    """Folders on PATH in which no program was looked for."""
    overlay_problem: str
    """Why programs in the sandbox cannot have worktrees of layers, so that each gets a copy; empty: they can."""


def agents_output(survey: AgentSurvey) -> AgentsOutput:
    """Returns the output of a survey."""
    return msgspec.convert(survey, AgentsOutput, from_attributes=True)


class TrialOutput(Envelope, frozen=True):
    """A trial of an agent; `ok` is true if no step failed."""

    agent: str
    kind: str
    steps: tuple[TrialStep, ...]
    repository: str | None
    """The path of the repository that it worked in, with `--keep`."""


def trial_output(
    agent: str,
    kind: str,
    steps: tuple[TrialStep, ...],
    repository: str | None,
    *,
    is_interrupted: bool = False,
) -> TrialOutput:
    """Returns the output of a trial. `repository`: its path, if it is kept; `is_interrupted`: by a signal."""
    failed = next((step for step in steps if step.status is StepStatus.FAILED), None)
    error = (
        make_report(ErrorKind.FAILED, f"{failed.name}: {failed.detail}", failed.advice) if failed else None
    )
    if is_interrupted:
        error = make_report(ErrorKind.INTERRUPTED, "interrupted")
    return TrialOutput(agent, kind, steps, repository, ok=error is None, error=error)
