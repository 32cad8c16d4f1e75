"""Workplaces on this machine: a git worktree for each attempt, and a scratch folder next to it.

Git runs in a worktree only before its agent starts. Afterwards the folder is read as files, without following links,
and removed as files.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from gitbatch.agents.protocol import Agent, AgentFolders, Assignment, Failure, Progress, Reply
from gitbatch.batch.extras.extras import WorktreeExtras, copy_layers
from gitbatch.batch.workplace.changes import list_changes
from gitbatch.batch.workplace.protocol import Collected, OpenOutput, OutputSource, StartPermit, WorkplaceSetup
from gitbatch.batch.workplace.slots import Slots
from gitbatch.concurrency import GitThread
from gitbatch.errors import GitError
from gitbatch.fs.disk import DiskError
from gitbatch.fs.nofollow import regular_file
from gitbatch.fs.removal import remove_tree
from gitbatch.paths import ancestors
from gitbatch.repo.attributes import put_output
from gitbatch.repo.base import Base
from gitbatch.repo.fingerprint import Fingerprint, require_untouched
from gitbatch.repo.repository import Repository
from gitbatch.repo.snapshot import TreeSnapshot
from gitbatch.repo.worktrees.agent_git import AgentGit
from gitbatch.repo.worktrees.layered import remove_layered_worktree
from gitbatch.repo.worktrees.worktree import (
    NewWorktree,
    Worktree,
    add_worktree,
    remove_worktree,
    wait_for_ctime_tick,
)
from gitbatch.text import CleanText

if TYPE_CHECKING:
    from gitbatch.repo.templates.kept import KeptCheckouts

PROCESS = secrets.token_hex(2)
"""In the names of this process's folders: without a sandbox, agents of a killed run may still write into theirs."""


class LocalWorkplaces(Struct, frozen=True):
    """The workplaces of a run on this machine, and what they share."""

    repo: Repository
    git: GitThread
    folder: Path
    """The batch's folder for worktrees; nothing else is in it."""
    agent_git: AgentGit
    """Makes the git directories of the worktrees. Its owner closes it."""
    checkouts: tuple[Path, ...]
    """The user's checkouts and git directories, which agents may not read."""
    fingerprint: Fingerprint
    """The repository's control files when the run began."""
    hidden: tuple[Path, ...] = ()
    """More folders that agents may not read."""
    slots: Slots = field(default_factory=Slots)
    kept: "KeptCheckouts | None" = None
    """The checkouts that worktrees leave and take; None: git makes each. Its owner closes it."""
    extras: WorktreeExtras | None = None
    """The layers that worktrees have on top of a commit's files; None: none."""

    async def list_extra_layers(self, commit: str) -> tuple[Path, ...]:
        """Returns the layers on top of a commit's files, the uppermost first; see `WorktreeExtras.list_layers`."""
        return await self.extras.list_layers(commit) if self.extras else ()

    def open_workplace(
        self,
        batch: str,
        slug: str,
        agent: str,  # noqa: ARG002 - all agents work here
        permit: StartPermit | None = None,  # noqa: ARG002 - and start at once
    ) -> "LocalWorkplace":
        """Returns a workplace, not yet prepared, for an attempt at the item with a slug by any agent."""
        worktree = self.folder / f"{batch}-{slug}-{PROCESS}"
        return LocalWorkplace(self, worktree, self.folder / f"{slug}-{PROCESS}.io")

    async def close(self, *, in_hurry: bool) -> None:
        """Nothing works on other machines."""


class LocalWorkplace(Struct):
    """A worktree with the item's branch, and a scratch folder: a `protocol.Workplace`."""

    shared: LocalWorkplaces
    path: Path
    """The worktree's."""
    scratch: Path
    made: Worktree | None = None
    setup: WorkplaceSetup | None = None
    slot: int | None = None
    has_ended: bool = False
    """Whether an agent has worked here and has ended by itself."""

    async def prepare(self, setup: WorkplaceSetup) -> None:
        """Makes the worktree and the item's branch.

        Raises:
            DiskError: the folder cannot be written.
            PrepareError: a command of `batch.prepare` failed.
        """
        self.slot = self.shared.slots.take_slot()
        extra = await self.shared.list_extra_layers(setup.commit)
        self.made = await self.shared.git(make_worktree, self.shared, self.path, setup, extra)
        self.setup = setup

    async def work(self, agent: Agent, assignment: Assignment, progress: Progress) -> Reply | Failure:
        """Runs an agent in the worktree until it has ended."""
        assert self.setup is not None  # noqa: S101 - the order of calls that the protocol demands
        shared, setup = self.shared, self.setup
        snapshot = TreeSnapshot(shared.repo.objects, setup.tree)
        place = AgentFolders(
            worktree=self.path,
            scratch=self.scratch,
            git=shared.agent_git.readable(self.path, setup.commit),
            checkouts=shared.checkouts,
            hidden=(shared.folder.parent.parent, *shared.hidden),
            base=Base(setup.commit, snapshot, shared.git, shared.repo.git),
            slot=self.slot or 0,
        )
        return await agent.run(assignment, place, progress)

    async def collect(self) -> Collected | None:
        """Lists the changes; None: the worktree was removed while the agent ran, or was never made."""
        if self.made is None or self.setup is None:
            return None
        self.has_ended = True
        return await self.shared.git(collect_from, self.made, self.setup.output)

    @property
    def host(self) -> CleanText:
        """Empty: it is on this machine."""
        return CleanText("")

    async def note_recorded(self, *, in_git: bool) -> None:
        """Keeps nothing that could be removed now."""

    async def discard(self) -> bool:
        """Removes the worktree and the scratch folder. The item's branch is left alone."""
        self.shared.slots.give_back(self.slot)
        return await self.shared.git(_remove_folders, self)


def make_worktree(
    shared: LocalWorkplaces, path: Path, setup: WorkplaceSetup, extra: tuple[Path, ...] = ()
) -> Worktree:
    """Makes a worktree, with the output of an earlier attempt in it where there is one.

    Raises:
        DiskError: it cannot be written.
    """
    repo, new = shared.repo, NewWorktree(path, setup.branch, setup.commit, setup.output, setup.paths)
    check_out = None
    if shared.kept:  # what has further layers is not kept: a file that an agent changed there could stay
        check_out = shared.kept.make if extra else shared.kept.check_out
    with raising_disk_errors(path.parent):
        require_untouched(repo, shared.fingerprint)  # git runs filters when it fills a worktree
        repo.objects.writer.flush()  # its branch is made by another git, at a commit that may be new
        made = put_on_new_branch(repo, new, partial(add_worktree, repo, shared.agent_git, new, check_out))
        if extra:
            copy_layers(extra, path)
            made = replace(made, made=wait_for_ctime_tick(path))
        if setup.earlier:
            put_output(repo, path, setup.output, setup.earlier, setup.tree)
    return replace(made, guarded=tuple(guarded for guarded in setup.guarded if (path / guarded).exists()))


@contextmanager
def raising_disk_errors(folder: Path) -> Iterator[None]:
    """Raises a `DiskError` with advice for an `OSError` while a worktree is made in a folder."""
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"cannot make a worktree in {folder}: {error.strerror}",
            "free disk space, make the folder writable, or set GITBATCH_WORKTREES to another folder; "
            "then resume: gitbatch run",
        ) from error


def put_on_new_branch(repo: Repository, new: NewWorktree, add: Callable[[], Worktree]) -> Worktree:
    """Returns a new worktree, after a second try without what an agent may have put where its branch belongs."""
    try:
        return add()
    except GitError:  # an agent without a sandbox has put something where the branch belongs
        remove_layered_worktree(repo, new.path)
        repo.refs.remove(new.branch)
        repo.refs.delete(repo.refs.below(f"{new.branch}/"))
        return add()


def collect_from(worktree: Worktree, output: str) -> Collected | None:
    """Lists the changes in a worktree; None if it is gone."""
    if not worktree.path.is_dir():
        return None
    return Collected(list_changes(worktree), open_below(worktree.path, output))


def open_below(folder: Path, output: str) -> OutputSource:
    """Returns the source of the regular file at a path below a folder, which is opened without following links."""
    return partial(_open_output, folder, output)


@contextmanager
def _open_output(folder: Path, output: str) -> Iterator[OpenOutput]:
    with regular_file(folder, output) as (descriptor, status):
        yield OpenOutput(descriptor, status.st_size)


def _remove_folders(workplace: LocalWorkplace) -> bool:
    """Removes the folders of a workplace; keeps the files, if its agent has ended and they can be used again."""
    shared, made, setup = workplace.shared, workplace.made, workplace.setup
    if shared.kept and made and setup and workplace.has_ended:
        shared.kept.keep(made, ancestors(setup.output))
    return all([remove_worktree(shared.repo, workplace.path), remove_tree(workplace.scratch)])
