"""From the name of an agent in the configuration to the agent. Its kind is imported when it is used."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NoReturn

from msgspec import field, json

from gitbatch.agents.process.environment import secret_names
from gitbatch.agents.process.sent_agent import describe_sent_agent
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.process.table import ProcessTable
from gitbatch.agents.protocol import Agent
from gitbatch.agents.secrets import Secrets
from gitbatch.agents.services import AgentServices
from gitbatch.errors import GitbatchError
from gitbatch.project.agent_kinds import factory_of
from gitbatch.project.config import CONFIG_FILE, Config
from gitbatch.project.sent_work import is_sent


class AgentPool(AgentServices, frozen=True):
    """The agents of a run, each made once."""

    _made: dict[tuple[str, bytes, bool], Agent] = field(default_factory=dict)
    """By the name, the settings, encoded (one may be a table, which has no hash), and whether it is sent to other machines."""

    def get_agent(self, name: str, config: Config) -> Agent:
        """Returns the agent that the configuration has under a name. Of one that works elsewhere, nothing is needed here.

        Raises:
            PlanError: the configuration has no agent of this name.
            GitbatchError: it cannot work here: its sandbox does not, its key is missing, its limit cannot be kept.
        """
        known = config.agent_name(name)
        table, is_elsewhere = config.agents[known], is_sent(config, known, is_remote=self.is_remote)
        key = (name, json.encode(table), is_elsewhere)
        if key not in self._made:
            if is_elsewhere and isinstance(table, ProcessTable):
                self._made[key] = describe_sent_agent(name, table)
            else:
                agent: Agent = factory_of(table)(name, table, self)
                self._made[key] = agent
        return self._made[key]

    def require_usable(self, name: str, config: Config, has_file: Callable[[str], bool]) -> Agent:
        """Returns an agent that can work here, as far as that is known without a start.

        Args:
            name: the agent's.
            config: has its table.
            has_file: whether a worktree will have a file at a repository path.

        Raises:
            GitbatchError: its program is not found, or as `get_agent`.
        """
        agent = self.get_agent(name, config)
        if program := agent.find_missing_program(has_file):
            raise GitbatchError(
                f"agent {name}: the program {program} is not found, or cannot be executed",
                f"install it, or correct its name under [agents.{name}] in {CONFIG_FILE}",
            )
        return agent

    def sandbox_kinds(self, names: Iterable[str], config: Config) -> str:
        """Returns the kinds of sandbox of some agents; empty if none is a process. Raises as `get_agent` does."""
        agents = (self.get_agent(name, config) for name in names)
        return ", ".join(sorted({agent.sandbox_kind for agent in agents} - {""}))

    def find_secrets(self, config: Config) -> Secrets:
        """Returns the values that no text and no output may hold: those of all programs of the configuration."""
        names = {name for table in config.agents.values() for name in table.secret_variables}
        for program in (*config.checks.values(), *config.gates.values()):
            names |= set(secret_names(program.pass_env, program.public_env))
        return Secrets.from_environment(self.environment, names)

    def read_in_checkouts(
        self, names: Iterable[str], config: Config, checkouts: tuple[Path, ...]
    ) -> tuple[Path, ...]:
        """Returns the paths in the user's checkouts that the programs of some agents may read."""
        found = (self.get_agent(name, config).read_in_checkouts(checkouts) for name in names)
        return tuple(sorted({path for paths in found for path in paths}))

    async def close(self) -> None:
        """Closes the agents."""
        for agent in self._made.values():
            await agent.close()


class _NoStarter(Starter):
    """Starts nothing, not even the server for sandboxed programs: agents are made, and never run."""

    starts_programs = False

    def start_server(self) -> NoReturn:
        """Refuses, as where no server can be started."""
        raise OSError


def make_idle_pool(environment: Mapping[str, str]) -> AgentPool:
    """Returns a pool whose agents are looked at, and never run.

    Args:
        environment: the user's.
    """
    return AgentPool(dict(environment), None, _NoStarter())
