"""The parts of a configuration that are sent to other machines, and those that cannot be."""

from typing import TYPE_CHECKING

from msgspec.structs import replace

from gitbatch.project.executor_table import ExecutorTable

if TYPE_CHECKING:
    from gitbatch.project.config import Config


def is_sent(config: "Config", agent: str, *, is_remote: bool = False) -> bool:
    """Returns whether an agent works on other machines only: it is a program there, and reviews nothing here.

    `is_remote`: whether the user names a cluster, whatever the configuration says.
    """
    if not ((is_remote or config.executor.is_remote) and config.agents[agent].is_program):
        return False
    return all(check.agent != agent for check in config.checks.values())


def sends_checks(config: "Config", *, is_remote: bool = False) -> bool:
    """Returns whether the programs of checks and gates run on other machines. `is_remote`: as for `is_sent`."""
    return config.executor.checks_at == "workers" and (is_remote or config.executor.is_remote)


def keep_here(config: "Config") -> "Config":
    """Returns a configuration by which all agents work on this machine."""
    return replace(config, executor=ExecutorTable())


def find_unsent(config: "Config") -> str | None:
    """Returns why items cannot be sent to other machines; None if they can, or are not."""
    named = [name for name in ("include", "prepare") if getattr(config.batch, name)]
    if not config.executor.is_remote or not named:
        return None
    return f"batch.{named[0]} is not sent to workers: use one of both"
