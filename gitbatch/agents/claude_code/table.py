"""The settings of the agent kind `claude-code`."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from gitbatch.agents.claude_code.protected import find_protected_part
from gitbatch.agents.process.api_programs import CLAUDE, ApiProgram
from gitbatch.agents.process.table import ProcessTable, Reports
from gitbatch.project.agent_kinds import AgentKind
from gitbatch.project.agent_table import Amount, Positive

Tool = Literal["Read", "Glob", "Grep", "Edit", "Write", "Bash"]
KEY_VARIABLES = ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AUTH_TOKEN")


class ClaudeCodeAgent(ProcessTable, frozen=True, kw_only=True, tag="claude-code"):
    """Claude Code: it is started for each item, and may write the item's output and nothing else."""

    program: Annotated[str, Meta(min_length=1)] = "claude"
    """Found on PATH."""
    model: str | None = None
    """Claude Code's own if not set."""
    fallback_model: str | None = None
    """Used by Claude Code while `model` is overloaded."""
    max_turns: Positive = 50
    """Answers of the model in one attempt."""
    max_cost: Amount | None = None
    """US dollars for one item, all attempts together."""
    max_tokens: Positive | None = None
    """Tokens for one item, all attempts together, those of the cache too."""
    tools: Annotated[tuple[Tool, ...], Meta(min_length=1)] = ("Read", "Glob", "Grep", "Edit", "Write")
    """`Bash` may be added, with a sandbox only."""
    settings: Literal["none", "project"] = "none"
    """`project`: the settings in the repository apply, and its hooks run."""
    api_key_env: Annotated[tuple[str, ...], Meta(min_length=1)] = KEY_VARIABLES
    """The variables that may have the key: the first one that is set is passed."""
    base_url: str | None = None
    """The address of the server; if not set, that of ANTHROPIC_BASE_URL, else Claude Code's own."""

    @property
    def default_network(self) -> Literal["api"]:
        """It needs its model."""
        return "api"

    @property
    def api_program(self) -> ApiProgram | None:
        """What is known of Claude Code."""
        return CLAUDE

    @property
    def own_reports(self) -> Reports:
        """It reports both."""
        return Reports(usage=True, cost=True)

    @property
    def cost_limit(self) -> float | None:
        """That of the settings."""
        return self.max_cost

    @property
    def command_line(self) -> tuple[str, ...]:
        """The program; its arguments depend on the item."""
        return (self.program,)

    @property
    def denies_other_files(self) -> bool:
        """Whether its permissions cover all that it can do: not with a shell."""
        return "Bash" not in self.tools

    @property
    def secret_variables(self) -> tuple[str, ...]:
        """The variables that may have the key too."""
        return (*super().secret_variables, *self.api_key_env)

    def find_output_problem(self, path: str) -> str:
        """Returns why Claude Code does not write an output, whatever is allowed."""
        part = find_protected_part(path)
        return f"Claude Code does not write {part!r} without a terminal" if part else ""

    def find_problems(self) -> Iterator[tuple[str, str | None]]:
        """Yields the settings to check: the tools that write too."""
        yield from super().find_problems()
        can_write = not {"Edit", "Write"}.isdisjoint(self.tools)
        yield "tools", None if can_write else "neither Edit nor Write: it could not write its output"


KIND = AgentKind(ClaudeCodeAgent, "gitbatch.agents.claude_code.agent:make_claude_code_agent")
