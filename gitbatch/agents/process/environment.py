"""Which of the user's environment variables the program of an agent gets, and which of those are secret."""

from collections.abc import Mapping

from gitbatch.project.config import AgentTable, CommandAgent

PASSED = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TERM",
    "TMPDIR",
    "TZ",
    "VIRTUAL_ENV",
)
"""The variables that every program gets, besides `LC_*`; what else it needs, the configuration names."""


def is_usual(name: str) -> bool:
    """Whether every program gets a variable."""
    return name in PASSED or name.startswith("LC_")


def passed_variables(table: CommandAgent, environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of the user that a program gets."""
    wanted = {*table.pass_env, *table.public_env}
    return {name: value for name, value in environment.items() if name in wanted or is_usual(name)}


def secret_names(table: AgentTable) -> tuple[str, ...]:
    """Returns the names of the variables whose values nothing that is kept may hold."""
    if isinstance(table, CommandAgent):
        return tuple(name for name in table.pass_env if not is_usual(name) and name not in table.public_env)
    return (table.api_key_env,)
