"""From an agent's table in the configuration to the agent. One line for each kind; heavy ones import when used."""

from collections.abc import Mapping

from gitbatch.agents.command import CommandRunner
from gitbatch.agents.protocol import Agent
from gitbatch.project.config import Config


def make_agent(name: str, config: Config, environment: Mapping[str, str]) -> Agent:
    """The agent that the configuration has under a name.

    Raises:
        PlanError: there is none.
    """
    return CommandRunner(name, config.agents[config.agent_name(name)], environment)
