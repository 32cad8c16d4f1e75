"""The check of a machine for the agents of others: git, a sandbox, worktrees, programs; and whether it reaches its cluster."""

from msgspec import Struct

from gitbatch import __version__
from gitbatch.batch.executor.messages import PROTOCOL
from gitbatch.batch.worker.cluster import try_cluster
from gitbatch.batch.worker.cluster_settings import ClusterSettings
from gitbatch.batch.worker.equipment import list_equipment
from gitbatch.batch.worker.stdio import (
    WorkerSettings,
    choose_worktrees_of,
    list_spooled,
    select_sandbox_of,
)
from gitbatch.errors import GitbatchError
from gitbatch.repo.opening import require_git
from gitbatch.sandbox.model import Sandbox
from gitbatch.sandbox.network import find_network_problem


class WorkerCheck(Struct, frozen=True):
    """One thing that a worker needs, or that is good to know of it."""

    name: str
    found: str
    """What there is; empty: what is needed is missing."""
    problem: str = ""
    advice: str = ""
    details: str = ""
    """Lines that say more about the problem."""


class WorkerReport(Struct, frozen=True):
    """What a machine has for a worker."""

    host: str
    version: str
    protocol: int
    """The number of the protocol: a run and its workers must have the same."""
    folder: str
    """The worker's folder."""
    spooled: int
    """Results that wait for the run that asked for them."""
    checks: tuple[WorkerCheck, ...]
    programs: tuple[str, ...]
    """The known agents that are found on PATH."""
    keys: tuple[str, ...]
    """The names of the variables for their keys that are set."""

    @property
    def is_able(self) -> bool:
        """Whether nothing is missing."""
        return all(check.found for check in self.checks)


def check_worker(settings: WorkerSettings, cluster: ClusterSettings | None = None) -> WorkerReport:
    """Returns what this machine has for a worker.

    Args:
        settings: the worker's.
        cluster: the one that it is to join; None: none.

    Raises:
        OSError: its folder cannot be made.
    """
    settings.folder.mkdir(parents=True, exist_ok=True)
    checks = tuple(_check(name, settings) for name in ("git", "sandbox"))
    if all(check.found for check in checks):
        checks = (*checks, *(_check(name, settings) for name in ("worktrees", "network")))
    return WorkerReport(
        settings.host,
        __version__,
        PROTOCOL,
        str(settings.folder),
        len(list_spooled(settings)),
        (*checks, *((_check_cluster(settings, cluster),) if cluster else ())),
        *list_equipment(settings.environment),
    )


def _check(name: str, settings: WorkerSettings) -> WorkerCheck:
    try:
        match name:
            case "git":
                found = require_git(settings.folder)
            case "sandbox":
                found = str(select_sandbox_of(settings).kind)
            case "network":
                found = _describe_network(select_sandbox_of(settings))
            case _:
                found = choose_worktrees_of(settings).text
    except GitbatchError as error:
        return WorkerCheck(name, "", error.message, error.advice, error.details)
    return WorkerCheck(name, found)


def _describe_network(sandbox: Sandbox) -> str:
    problem = find_network_problem(sandbox)
    return (
        f'all: network = "api" is not possible ({problem})' if problem else "api: the servers of models alone"
    )


def _check_cluster(settings: WorkerSettings, cluster: ClusterSettings) -> WorkerCheck:
    try:
        return WorkerCheck("cluster", try_cluster(settings, cluster))
    except GitbatchError as error:
        return WorkerCheck("cluster", "", error.message, error.advice)
