"""From an agent's table in the configuration to the agent. One line for each kind; heavy ones import when used."""

from collections.abc import Mapping

from gitbatch.agents.command import CommandRunner
from gitbatch.agents.protocol import Agent
from gitbatch.project.config import Config
from gitbatch.sandbox.find import find_sandbox
from gitbatch.sandbox.model import SandboxKind


def make_agent(
    name: str, config: Config, environment: Mapping[str, str], wanted: SandboxKind | None
) -> Agent:
    """The agent that the configuration has under a name.

    Args:
        name: the agent's.
        config: the configuration.
        environment: the user's environment.
        wanted: the sandbox that the user asked for; None: what the configuration says.

    Raises:
        PlanError: there is none.
        GitbatchError: its sandbox does not work here.
    """
    table = config.agents[config.agent_name(name)]
    sandbox = find_sandbox(wanted or SandboxKind(table.sandbox))
    return CommandRunner(name, table, environment, sandbox)
