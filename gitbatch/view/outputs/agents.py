"""The output of `gitbatch agents --json`."""

import msgspec

from gitbatch.agents.survey.program_search import SkippedFolder
from gitbatch.agents.survey.survey import AgentSurvey, ConfiguredAgent, InstalledProgram
from gitbatch.view.envelope import Envelope


class AgentsOutput(Envelope, frozen=True):
    """The known programs of this machine, and the agents of gitbatch.toml with their state."""

    programs: tuple[InstalledProgram, ...]
    agents: tuple[ConfiguredAgent, ...]
    sandbox: str
    """The sandbox of agents that ask for none by name; empty: none works here."""
    sandbox_problem: str
    skipped: tuple[SkippedFolder, ...]
    """Folders on PATH in which no program was looked for."""


def agents_output(survey: AgentSurvey) -> AgentsOutput:
    """Returns the output of a survey."""
    return msgspec.convert(survey, AgentsOutput, from_attributes=True)
