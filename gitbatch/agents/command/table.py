"""The settings of the agent kind `command`."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from gitbatch.agents.process.table import ProcessTable
from gitbatch.project.agent_kinds import AgentKind

BusyPattern = Annotated[str, Meta(pattern=r"[^\s_-]", max_length=200)]
FormatName = Literal["claude", "codex", "opencode", "gemini", "qwen"]
WITH_COST = frozenset({"claude", "opencode"})
"""The formats that have a cost in US dollars."""
BUSY_WORDS = ("rate limit", "429", "overloaded", "try again later")


class CommandAgent(ProcessTable, frozen=True, kw_only=True, tag="command"):
    """A program of the user's choice, by its command line."""

    command: Annotated[tuple[str, ...], Meta(min_length=1)]
    format: FormatName | None = None
    """How standard output is read: as the lines of JSON that this program prints; None: as text."""
    strict: bool = False
    """The output is the only file of the worktree that it may write; many programs need more."""
    writable: tuple[str, ...] = ()
    """Paths that it may write besides its worktree."""
    reports_usage: bool = False
    """The program reports its usage and cost in its reply; without that, no limit can be kept."""
    busy_patterns: bool | tuple[BusyPattern, ...] = True
    """Texts in the last lines of a failed program that mean a busy server: `true` is `BUSY_WORDS`, `false` none."""

    @property
    def busy_words(self) -> tuple[str, ...]:
        """The patterns in effect."""
        if isinstance(self.busy_patterns, bool):
            return BUSY_WORDS if self.busy_patterns else ()
        return self.busy_patterns

    def find_problems(self) -> Iterator[tuple[str, str | None]]:
        """Yields the settings to check: the command too."""
        yield from super().find_problems()
        has_nul = "\0" in "".join(self.command)
        yield "command", "an argument holds a NUL character" if has_nul else None


KIND = AgentKind(CommandAgent, "gitbatch.agents.command.agent:make_command_agent")
