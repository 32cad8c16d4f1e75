"""The variables that the program of an agent gets: of the user's environment, and fixed ones."""

from collections.abc import Iterable, Mapping

from gitbatch.agents.process.settings import ProgramSettings

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

SLOT = "GITBATCH_SLOT"
"""A number from 0 on that no other agent has at the same time: for ports and databases."""

CERTIFICATES = (
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)
"""The variables that name certificates of the user's network: a program that has a network gets them, and may read them."""


def is_passed_to_all(name: str) -> bool:
    """Whether every program gets a variable."""
    return name in PASSED or name.startswith("LC_")


def passed_variables(table: ProgramSettings, environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of the user that a program gets, and those that its table fixes."""
    wanted = {*table.pass_env, *table.public_env}
    passed = {name: value for name, value in environment.items() if name in wanted or is_passed_to_all(name)}
    return {**passed, **table.fixed_variables}


def certificate_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of the user's environment that name certificates."""
    return {name: environment[name] for name in CERTIFICATES if environment.get(name)}


def secret_names(pass_env: Iterable[str], public_env: Iterable[str]) -> tuple[str, ...]:
    """Returns the variables of `pass-env` that are not passed to every program, nor said to be public."""
    return tuple(name for name in pass_env if not is_passed_to_all(name) and name not in public_env)
