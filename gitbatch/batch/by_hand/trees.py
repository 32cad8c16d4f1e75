"""Fresh folders for checks that no batch runs: next to the worktrees of batches, and removed at the end."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.process.children import watch_by_descriptor
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.services import AgentServices
from gitbatch.batch.extras.extras import ExtraSources, WorktreeExtras, open_extras
from gitbatch.batch.planning.start_checks import Folders
from gitbatch.batch.planning.tls_files import find_tls_keys
from gitbatch.batch.planning.worktrees_dir import find_worktrees_dir
from gitbatch.batch.workplace.detached_worktrees import DetachedCopies, DetachedTrees
from gitbatch.batch.workplace.local import LocalWorkplaces
from gitbatch.checks.command import CheckTools
from gitbatch.checks.tree import FreshTrees
from gitbatch.concurrency import GitThread
from gitbatch.fs.room import require_room
from gitbatch.fs.temporary import temporary_folder
from gitbatch.project.config import Config
from gitbatch.repo.fingerprint import take_fingerprint
from gitbatch.repo.repository import Repository
from gitbatch.repo.templates.templates import layers_dir
from gitbatch.repo.worktrees.agent_git import read_agent_git
from gitbatch.repo.worktrees.checkouts import find_checkouts
from gitbatch.sandbox.model import SandboxKind

CHECK_FOLDERS = "check-"
"""The beginning of the names of the folders."""
_NOWHERE = "refs/heads/gitbatch-check"
"""The branch that git in the folders shows at the base, where no branch is checked out."""


class CheckHost(Struct, frozen=True):
    """The user's machine."""

    environment: Mapping[str, str]
    folders: Folders
    sandbox: SandboxKind | None = None
    """The sandbox of all programs; None: that of each table."""


class CheckBase(Struct, frozen=True):
    """The commit whose included and prepared files the folders have."""

    commit: str
    guarded: frozenset[str]
    """The paths, by `path_key`, that have one writer: no layer has them."""
    tell: Callable[[str], None]
    """Gets lines for the user."""


class CheckSetup(Struct, frozen=True):
    """Where checks run, and what they use."""

    trees: FreshTrees
    tools: CheckTools
    extras: WorktreeExtras | None = None
    """What the folders have besides the files of a commit; `make_ready` makes it. None: nothing."""


@contextmanager
def open_check_setup(
    repo: Repository, config: Config, machine: CheckHost, base: CheckBase | None = None
) -> Iterator[CheckSetup]:
    """Yields what checks run with, and removes its folders at the end. Call it outside an event loop.

    Args:
        repo: the repository.
        config: the settings of the programs.
        machine: environment and folders.
        base: the source of further files; None: the folders have none. They are copied, since changes of the checkout are
            written on top of them.

    Raises:
        GitbatchError: the disk is full, or the folder for worktrees is inside the repository.
    """
    watch_by_descriptor()
    above = find_worktrees_dir(repo, config, machine.folders.worktrees, machine.folders.cache_dir)
    require_room(above, repo.common_dir)
    environment = dict(machine.environment)
    with (
        temporary_folder(above, CHECK_FOLDERS) as folder,
        closing(Starter()) as starter,
        closing(GitThread()) as git,
    ):
        checkouts = find_checkouts(repo, environment.get("PATH", "")).folders
        target = repo.head_branch() or _NOWHERE
        with closing(read_agent_git(repo, folder, target)) as agent_git:
            hidden = find_tls_keys(config.executor.tls, environment)
            mark = take_fingerprint(repo, folder.name)
            trees = FreshTrees(repo, git, folder, agent_git, checkouts, mark, hidden=hidden)
            setup = CheckSetup(trees, CheckTools(AgentServices(environment, machine.sandbox, starter)))
            if base is None:
                yield setup
            else:
                with _add_extras(setup, config, machine, base) as ready:
                    yield ready


@contextmanager
def _add_extras(
    setup: CheckSetup, config: Config, machine: CheckHost, base: CheckBase
) -> Iterator[CheckSetup]:
    trees, repo = setup.trees, setup.trees.repo
    sources = ExtraSources(repo, trees.folder.name, base.commit, trees.folder, config.batch, base.guarded)
    layers = layers_dir(repo, machine.folders.cache_dir)
    with open_extras(sources, trees.git, setup.tools, layers, base.tell) as extras:
        plain = LocalWorkplaces(
            *(repo, trees.git, trees.folder, trees.agent_git, trees.checkouts, trees.fingerprint),
            hidden=trees.hidden,
        )
        extras.detached = DetachedCopies(plain)
        source = DetachedTrees(extras.detached, extras)
        yield CheckSetup(replace(trees, source=source), setup.tools, extras)
