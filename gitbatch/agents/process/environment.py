"""The variables that the program of an agent gets: of the user's environment, and fixed ones."""

import re
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

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OURS = "GITBATCH_"
"""The beginning of the names of the variables that gitbatch sets."""
_KEY = re.compile(
    r"\b(?:sk|pk|rk)-[A-Za-z0-9_-]{16,}|\b(?:gh[opusr]|github_pat|glpat|hf|xox[abpr])[_-][A-Za-z0-9_-]{10,}"
    r"|\bA(?:KIA|SIA|Iza)[A-Za-z0-9_-]{16,}|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|://[^\s/:@]*:[^\s/@]+@"
    r"|\b(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[A-Za-z0-9]{24,}"
)
"""Keys by their prefix, passwords in addresses, and words of letters and digits that are too long to be names."""


def looks_like_key(value: str) -> bool:
    """Returns whether a value of the configuration looks like a key, which must not be committed."""
    return _KEY.search(value) is not None


def find_variable_problem(name: str, value: str) -> str | None:
    """Returns why the configuration may not fix a variable; None if it may."""
    if not VARIABLE.fullmatch(name):
        return f"{name!r} is not the name of a variable"
    if name.startswith(OURS):
        return f"{name} is set by gitbatch"
    return f"the value of {name} holds a NUL character" if "\0" in value else None


def is_passed_to_all(name: str) -> bool:
    """Whether every program gets a variable."""
    return name in PASSED or name.startswith("LC_")


def passed_variables(table: "ProcessTable", environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of the user that a program gets, and those that its table fixes."""
    wanted = {*table.pass_env, *table.public_env}
    passed = {name: value for name, value in environment.items() if name in wanted or is_passed_to_all(name)}
    return {**passed, **table.fixed_variables}
