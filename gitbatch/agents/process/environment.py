"""The variables of the user's environment that the program of an agent gets."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gitbatch.agents.process.table import ProcessTable

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
"""The variables that every program gets, besides `LC_*`; the configuration names what else it needs."""


def is_passed_to_all(name: str) -> bool:
    """Whether every program gets a variable."""
    return name in PASSED or name.startswith("LC_")


def passed_variables(table: "ProcessTable", environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of the user that a program gets."""
    wanted = {*table.pass_env, *table.public_env}
    return {name: value for name, value in environment.items() if name in wanted or is_passed_to_all(name)}
