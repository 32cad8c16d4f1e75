"""The checks before a batch starts: what keeps its items from running, and what is missing on this machine.

A run refuses to start with the first problem; `gitbatch lint --here` reports all of them. Both go through the same table,
so that neither knows a problem that the other does not know.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from msgspec import Struct

from gitbatch.agents.pool import AgentPool
from gitbatch.batch.history.ledger import SpendingLimits
from gitbatch.batch.planning.agents import require_measurable_limits, set_limits, wanted_agents
from gitbatch.batch.planning.check_problems import require_program, wanted_programs
from gitbatch.batch.planning.executor_choice import require_executor
from gitbatch.batch.planning.preflight import require_clean, require_no_gitbatch_branch
from gitbatch.batch.planning.project_state import ProjectState, ProjectView
from gitbatch.batch.planning.target import Target
from gitbatch.batch.planning.worktrees_dir import find_worktrees_dir
from gitbatch.errors import GitbatchError
from gitbatch.fs.room import require_room
from gitbatch.plan.model import WorkItem
from gitbatch.project.config import Config
from gitbatch.project.sent_work import sends_checks
from gitbatch.repo.repository import Repository


class Folders(Struct, frozen=True):
    """The folders for worktrees that the user has chosen or has by default."""

    worktrees: Path | None
    """None: the configured one, else the cache folder."""
    cache_dir: Path


class StartChoice(Struct, frozen=True):
    """What a batch is to be started with."""

    items: tuple[WorkItem, ...]
    agent: str
    """The agent of items that name none."""
    agents: AgentPool
    limits: SpendingLimits
    """As the user gave them."""
    folders: Folders
    cluster: str | None = None
    """The cluster that the user names, whose workers run the agents."""


class StartCheck(Struct, frozen=True):
    """A check before a batch starts."""

    refuse: Callable[[], object]
    """Refuses with a `GitbatchError`, or returns."""
    setting: tuple[str, ...] = ()
    """The path of the setting that it is about."""
    is_of_machine: bool = True
    """Whether its result depends on the machine."""


def machine_checks(repo: Repository, view: ProjectView, choice: StartChoice) -> tuple[StartCheck, ...]:
    """Returns the checks of the configuration on this machine: a folder, programs, keys, sandboxes, limits."""
    config, folders, pool = view.project.config, choice.folders, choice.agents
    limits = set_limits(pool, config, choice.limits)
    names = sorted(wanted_agents(view, choice.items, choice.agent) & config.agents.keys())
    folder = partial(_require_folder, repo, config, folders)
    executor = partial(require_executor, config, choice.cluster, pool.environment, repo.root)
    usable = (
        StartCheck(partial(_require_usable, repo, view, pool, name), ("agents", name)) for name in names
    )
    measurable = (
        StartCheck(
            partial(_require_measurable, config, pool, name, limits), ("agents", name), is_of_machine=False
        )
        for name in names
    )
    programs = (
        StartCheck(partial(require_program, setting, table, pool, partial(_has_file, repo, view)), setting)
        for setting, table in wanted_programs(view, choice.items)
        if not sends_checks(config, is_remote=pool.is_remote)
    )
    general = (StartCheck(folder, ("batch", "worktrees")), StartCheck(executor, ("executor",)))
    return (*general, *usable, *measurable, *programs)


def start_checks(
    repo: Repository, target: Target, state: ProjectState, choice: StartChoice
) -> tuple[StartCheck, ...]:
    """Returns all checks before a batch starts, besides those of its items. None starts a program but git."""
    outputs = tuple(item.output for item in choice.items)
    clean = (StartCheck(partial(require_clean, repo, state, outputs)),) if target.followed else ()
    branch = StartCheck(partial(require_no_gitbatch_branch, repo))
    return (*machine_checks(repo, state, choice), branch, *clean)


def find_refusals(checks: Iterable[StartCheck]) -> Iterator[tuple[StartCheck, GitbatchError]]:
    """Yields the checks that refuse, each error once."""
    seen = set[str]()
    for check in checks:
        try:
            check.refuse()
        except GitbatchError as error:
            if error.message not in seen:
                yield check, error
            seen.add(error.message)


def _require_folder(repo: Repository, config: Config, folders: Folders) -> None:
    """Refuses a folder for worktrees inside the repository, and a full disk."""
    require_room(find_worktrees_dir(repo, config, folders.worktrees, folders.cache_dir), repo.common_dir)


def _require_measurable(config: Config, pool: AgentPool, name: str, limits: SpendingLimits) -> None:
    require_measurable_limits((pool.get_agent(name, config),), limits)


def _require_usable(repo: Repository, view: ProjectView, pool: AgentPool, name: str) -> None:
    """Refuses an agent that cannot work here; one that works on other machines only is not looked at."""
    pool.require_usable(name, view.project.config, partial(_has_file, repo, view))


def _has_file(repo: Repository, view: ProjectView, path: str) -> bool:
    """Returns whether a worktree can have a file at a path."""
    return view.snapshot.blob(path) is not None or (repo.root / path).is_file()
