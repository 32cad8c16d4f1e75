"""The settings of the agent kind `command`."""

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, field
from msgspec.structs import replace

from gitbatch.agents.process.table import ProcessTable, Reports
from gitbatch.patterns import compile_later
from gitbatch.project.agent_kinds import AgentKind
from gitbatch.project.key_values import find_variable_problem

if TYPE_CHECKING:
    from gitbatch.agents.process.api_programs import ApiProgram

BusyPattern = Annotated[str, Meta(pattern=r"[^\s_-]", max_length=200)]
FormatName = Literal["claude", "codex", "opencode", "gemini", "qwen"]
WITH_COST = frozenset({"claude", "opencode"})
"""The formats that have a cost in US dollars."""
ExitMeaning = Literal["busy", "context", "declined", "failed", "fatal"]
BUSY_WORDS = ("rate limit", "429", "overloaded", "try again later")
_EXIT_CODE = compile_later(r"[1-9][0-9]{0,2}")
_LAST_EXIT_CODE = 255


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

    env: dict[str, str] = field(default_factory=dict)
    """Variables with their values, in which placeholders are filled; they replace those of the user's environment."""
    exit_codes: dict[str, ExitMeaning] = field(default_factory=dict)
    """The meaning of exit codes, by the code; 75 is `busy` and all others are `failed` if they are not listed."""

    @property
    def default_network(self) -> Literal["api"] | bool:
        """A program whose format is known needs its model."""
        return "api" if self.format else False

    @property
    def api_program(self) -> "ApiProgram | None":
        """What is known of the program whose format it is. Arguments are not added to the command line of another one."""
        if not self.format:
            return None
        from gitbatch.agents.process.api_programs import FORMATS  # noqa: PLC0415 - many have no format

        program = FORMATS[self.format]
        if program.address_arguments and not _takes_arguments(self.command, self.format):
            return replace(program, address_arguments=())
        return program

    @property
    def own_reports(self) -> Reports:
        """What its format has, or its reply if it reports it there."""
        cost = self.reports_usage or self.format in WITH_COST
        return Reports(self.reports_usage or self.format is not None, cost)

    @property
    def command_line(self) -> tuple[str, ...]:
        """The command."""
        return self.command

    @property
    def denies_other_files(self) -> bool:
        """Whether it is OpenCode with a rule about the output."""
        return self.format == "opencode" and "{output}" in self.env.get("OPENCODE_CONFIG_CONTENT", "")

    @property
    def fixed_variables(self) -> Mapping[str, str]:
        """The variables of `env`."""
        return self.env

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
        yield from (("env", find_variable_problem(name, value)) for name, value in self.env.items())
        yield from (("exit-codes", _exit_code_problem(code)) for code in self.exit_codes)


def _takes_arguments(command: tuple[str, ...], name: str | None) -> bool:
    """Returns whether a command line begins with a program of this name, and names no server of its own."""
    own = ("model_provider", "base_url", "--oss", "--local-provider")
    return PurePath(command[0]).name == name and not any(word in each for each in command for word in own)


def _exit_code_problem(code: str) -> str | None:
    is_valid = _EXIT_CODE.fullmatch(code) and int(code) <= _LAST_EXIT_CODE
    return None if is_valid else f"{code!r} is not an exit code of a failure (1 to {_LAST_EXIT_CODE})"


KIND = AgentKind(CommandAgent, "gitbatch.agents.command.agent:make_command_agent")
