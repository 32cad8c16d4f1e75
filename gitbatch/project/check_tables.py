"""The tables of gitbatch.toml about what must pass: `[checks.NAME]` on an output, `[gates.NAME]` on a merged group.

Both name a program, so both are fixed when a batch starts (`config.FIXED`). What they run on is decided in
`check_choice.py`.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar

from msgspec import Meta, field

from gitbatch.plan.hints import CHECK_NAME, NO_CHECKS
from gitbatch.project.agent_table import ConfigTable, Positive, duration_problem, host_path_problem
from gitbatch.project.config_tables import ConfigProblem, read_table, read_value
from gitbatch.project.key_values import find_variable_problem
from gitbatch.project.path_patterns import pattern_problem


class ProgramTable(ConfigTable, frozen=True, kw_only=True):
    """A program that says whether something is good. Its settings mean what those of an agent's program mean."""

    command: tuple[str, ...] = ()
    """The command line; `{worktree}` is the folder with the files, `{output}` the path of the output in it."""
    timeout: str = "10m"
    """Of one run, with all pauses after exit code 75."""
    sandbox: Literal["auto", "bubblewrap", "landlock", "seatbelt", "none"] = "auto"
    network: bool = False
    """Whether it may use the network."""
    needs: tuple[str, ...] = ()
    """Paths that it may read besides the system's, the worktree and its tools; `~` is the home folder."""
    pass_env: tuple[str, ...] = ()
    """Names of environment variables that it gets in addition to the usual ones; their values are secret."""
    public_env: tuple[str, ...] = ()
    """As `pass_env`, for values that are not secret."""
    env: dict[str, str] = field(default_factory=dict)
    """Variables with their values, in which placeholders are filled."""
    max_file_bytes: Positive = 1024 * 1024 * 1024
    max_scratch_bytes: Positive = 4 * 1024 * 1024 * 1024

    @property
    def strict(self) -> bool:
        """False: it may write into its folder, which is removed afterwards."""
        return False

    @property
    def writable(self) -> tuple[str, ...]:
        """Nothing outside of its folder."""
        return ()

    @property
    def fixed_variables(self) -> Mapping[str, str]:
        """The variables of `env`."""
        return self.env

    def find_problems(self) -> Iterator[tuple[str, str | None]]:
        """Yields the name of each setting whose value needs more than its type checked, and its problem or None."""
        yield "timeout", duration_problem(self.timeout)
        yield "command", "an argument holds a NUL character" if "\0" in "".join(self.command) else None
        yield from (("env", find_variable_problem(name, value)) for name, value in self.env.items())
        yield from (("needs", host_path_problem(path)) for path in self.needs)


class CheckTable(ProgramTable, frozen=True, kw_only=True):
    """What an output must pass: a program, or an agent that reviews it."""

    agent: str | None = None
    """The name of an agent below `[agents]`, which gets the output as material and writes nothing."""
    prompt: str | None = None
    """What the agent is asked."""
    rounds: Positive = 3
    """How often the agent may send an output of an item back; after that, the item fails."""
    on: tuple[str, ...] = ()
    """Patterns of outputs; without any, it runs where the plan names it."""
    checkout: Literal["full", "context"] = "full"
    """`full`: its folder has every file; `context`: the output, and the item's context."""

    def find_problems(self) -> Iterator[tuple[str, str | None]]:
        """Yields the settings to check: that there is exactly one judge, too."""
        yield from super().find_problems()
        yield from (("on", pattern_problem(pattern)) for pattern in self.on)
        if self.agent is None:
            yield "command", None if self.command else "missing `command` or `agent`"
            yield (
                "prompt",
                None if self.prompt is None else "a prompt is for an agent, and `agent` is missing",
            )
            return
        yield "command", "a check has a command or an agent, not both" if self.command else None
        yield "prompt", None if (self.prompt or "").strip() else "missing `prompt`: what the agent is asked"
        yield from (
            (name, "is for a command, and this check has an agent") for name in self._set_for_command()
        )

    def _set_for_command(self) -> Iterator[str]:
        default = CheckTable()
        for name in ("sandbox", "network", "needs", "pass_env", "public_env", "env"):
            if getattr(self, name) != getattr(default, name):
                yield name.replace("_", "-")


class GateTable(ProgramTable, frozen=True, kw_only=True):
    """What the merged tree of a group must pass before the branch moves."""

    command: Annotated[tuple[str, ...], Meta(min_length=1)]
    timeout: str = "30m"
    groups: tuple[str, ...] = ("*",)
    """Patterns of the groups: their titles, slugs or numbers."""
    must_pass: bool = False
    """Whether a gate that was red before the group's work blocks it too."""
    retries_of_gate: Annotated[int, Meta(ge=0, le=10)] = 1
    """How often a red result is run again before it is believed."""


_T = TypeVar("_T", bound=ProgramTable)


def read_named_tables(raw: object, kind: type[_T], name: str, problems: list[ConfigProblem]) -> dict[str, _T]:
    """Returns the valid tables of a kind below a key, by their names.

    Args:
        raw: the value of the key.
        kind: their type.
        name: the key, such as `checks`.
        problems: gets all problems.
    """
    found = {}
    for each, value in (read_value(raw, dict[str, Any], (name,), problems) or {}).items():
        path = (name, each)
        if re.fullmatch(CHECK_NAME, each) is None or each.casefold() == NO_CHECKS:
            message = f"invalid name {each!r} (letters, digits and ._:/-, at most 80; not {NO_CHECKS})"
            problems.append(ConfigProblem(path, message, is_of_name=True))
        elif table := read_table(value, kind, path, problems):
            found[each] = table
    return found
