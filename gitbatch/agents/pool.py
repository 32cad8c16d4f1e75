"""From an agent's table in the configuration to the agent. One line for each kind; heavy ones import when used."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct, field

from gitbatch.agents.process.agent import CommandRunner
from gitbatch.agents.process.environment import secret_names
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.protocol import Agent
from gitbatch.agents.secrets import Secrets
from gitbatch.limits.budget import Budget
from gitbatch.limits.rate_limit import RateLimit
from gitbatch.project.config import AgentTable, AnthropicAgent, Config
from gitbatch.sandbox.find import find_sandbox
from gitbatch.sandbox.model import SandboxKind


class AgentPool(Struct, frozen=True):
    """The agents of a run, each made once, and what they share."""

    environment: Mapping[str, str]
    """The user's."""
    sandbox: SandboxKind | None
    """What the user asked for on the command line; None: what the configuration says of each agent."""
    starter: Starter
    rate_limit: RateLimit = field(default_factory=RateLimit)
    budget: Budget = field(default_factory=Budget)
    _made: dict[tuple[str, AgentTable], Agent] = field(default_factory=dict)

    def agent(self, name: str, config: Config) -> Agent:
        """The agent that the configuration has under a name.

        Raises:
            PlanError: there is none.
            GitbatchError: it can't work here: its sandbox does not, its key is missing, its limit can't be held.
        """
        table = config.agents[config.agent_name(name)]
        if (name, table) not in self._made:
            self._made[name, table] = self._make(name, table)
        return self._made[name, table]

    def sandboxes(self, names: Iterable[str], config: Config) -> str:
        """The kinds of sandbox that agents run in; empty if none of them is a process. Raises as `agent` does."""
        agents = (self.agent(name, config) for name in names)
        return ", ".join(sorted({agent.sandbox.kind for agent in agents if isinstance(agent, CommandRunner)}))

    def secrets(self, config: Config) -> Secrets:
        """Returns the values that no text and no output may hold: those of all agents of the configuration."""
        names = (name for table in config.agents.values() for name in secret_names(table))
        return Secrets.of(self.environment, names)

    def read_in_checkouts(
        self, names: Iterable[str], config: Config, checkouts: tuple[Path, ...]
    ) -> tuple[Path, ...]:
        """What of the user's checkouts the programs of agents may read."""
        agents = (self.agent(name, config) for name in names)
        found = (agent.read_in_checkouts(checkouts) for agent in agents if isinstance(agent, CommandRunner))
        return tuple(sorted({path for paths in found for path in paths}))

    async def close(self) -> None:
        """Let the agents go."""
        for agent in self._made.values():
            await agent.close()

    def _make(self, name: str, table: AgentTable) -> Agent:
        if isinstance(table, AnthropicAgent):
            from gitbatch.agents.anthropic.agent import ClaudeAgent  # noqa: PLC0415 - see above

            return ClaudeAgent.make(name, table, self.environment, self.rate_limit, self.budget)
        sandbox = find_sandbox(self.sandbox or SandboxKind(table.sandbox))
        if sandbox.kind is not SandboxKind.NONE:
            with suppress(OSError):  # the first item tries again, and says so
                self.starter.begin()
        return CommandRunner(name, table, self.environment, sandbox, self.starter)
