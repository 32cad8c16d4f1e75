"""The settings of the agent kind `acp`."""

from collections.abc import Iterator, Mapping
from typing import Literal

from msgspec import field

from gitbatch.agents.acp.presets import OTHER, PRESETS, Preset, PresetName
from gitbatch.agents.process.api_programs import PROGRAMS, ApiProgram
from gitbatch.agents.process.table import ProcessTable, Reports
from gitbatch.project.agent_kinds import AgentKind
from gitbatch.project.agent_table import Amount, Positive
from gitbatch.project.key_values import find_variable_problem


class AcpAgent(ProcessTable, frozen=True, kw_only=True, tag="acp"):
    """A program that speaks the Agent Client Protocol: it asks before it writes, and only its output is allowed."""

    preset: PresetName | None = None
    """Fills `command`, `mode`, `auth`, the variables and the names of the keys; what is set as well counts more."""
    command: tuple[str, ...] = ()
    """The command line; that of the preset if it is empty."""
    mode: str | None = None
    """Set in each session and read back; an empty text: the agent has no modes. Not set: as the preset, or `default`."""
    auth: str | None = None
    """The method for `authenticate`; not set: as the preset, or none."""
    model: str | None = None
    """The agent's own if not set."""
    env: dict[str, str] = field(default_factory=dict)
    """Variables with their values, in which placeholders are filled; they replace those of the user's environment."""
    reads: Literal["worktree", "none"] = "worktree"
    """The calls of tools that read and search, which are allowed."""
    allow: tuple[Literal["execute"], ...] = ()
    """`execute`: it may run commands, with a sandbox only."""
    max_turns: Positive = 200
    """Calls of tools in one attempt: the protocol has no limit of its own."""
    max_cost: Amount | None = None
    """US dollars for one item, all attempts together; for an agent that reports its cost."""
    max_tokens: Positive | None = None
    """Tokens for one item, all attempts together, those of the cache too; for an agent that reports them."""
    reports_usage: bool | None = None
    """Whether the agent reports tokens and cost; not set: as is known of the preset, else not."""

    @property
    def default_network(self) -> Literal["api"]:
        """It needs its model."""
        return "api"

    @property
    def api_program(self) -> ApiProgram | None:
        """What is known of the program of the preset."""
        return PROGRAMS.get(self.preset) if self.preset else None

    @property
    def known(self) -> Preset:
        """What the preset knows."""
        return PRESETS[self.preset] if self.preset else OTHER

    @property
    def key_variables(self) -> tuple[str, ...]:
        """The variables that may have its key: of several providers, that of its model only."""
        provider = (self.model or "").partition("/")[0]
        known = self.known
        return (known.provider_keys[provider],) if provider in known.provider_keys else known.keys

    @property
    def arguments(self) -> tuple[str, ...]:
        """The command line in effect, with the model if there is an option for it."""
        option = self.known.model_option
        chosen = (option, self.model) if option and self.model else ()
        return (*(self.command or self.known.command), *chosen)

    @property
    def own_reports(self) -> Reports:
        """As the settings say it, else as is known of the preset."""
        if self.reports_usage is not None:
            return Reports(self.reports_usage, self.reports_usage)
        return Reports(self.known.knows_usage, self.known.knows_cost)

    @property
    def cost_limit(self) -> float | None:
        """That of the settings."""
        return self.max_cost

    @property
    def command_line(self) -> tuple[str, ...]:
        """The command line in effect."""
        return self.arguments

    @property
    def denies_other_files(self) -> bool:
        """Whether it asks before each write, or has rules of its own: not if it may run commands."""
        return "execute" not in self.allow and not self.known.needs_sandbox

    @property
    def wanted_mode(self) -> str:
        """The mode in effect; empty: none is set."""
        return self.known.mode if self.mode is None else self.mode

    @property
    def auth_method(self) -> str:
        """The method of authentication in effect; empty: none."""
        return self.known.auth if self.auth is None else self.auth

    @property
    def fixed_variables(self) -> Mapping[str, str]:
        """The variables of the preset, and those of `env`: with placeholders."""
        variable = self.known.model_variable
        chosen = {variable: self.model} if variable and self.model else {}
        return {**self.known.variables, **chosen, **self.env}

    @property
    def secret_variables(self) -> tuple[str, ...]:
        """The variables that may have a key of the preset too."""
        return (*super().secret_variables, *self.known.keys)

    def find_problems(self) -> Iterator[tuple[str, str | None]]:
        """Yields the settings to check: the command too."""
        yield from super().find_problems()
        missing = None if self.arguments else 'missing: set it, or a preset such as "claude"'
        yield "command", "an argument holds a NUL character" if "\0" in "".join(self.command) else missing
        yield from (("env", find_variable_problem(name, value)) for name, value in self.env.items())


KIND = AgentKind(AcpAgent, "gitbatch.agents.acp.agent:make_acp_agent")
