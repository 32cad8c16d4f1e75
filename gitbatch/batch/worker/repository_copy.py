"""The copies of an orchestrator's repository in which a worker works: what it was sent, and worktrees of that.

The copy has no remote, and no object beyond those that were sent. Worktrees are those of a local run (`batch/workplace/`): the
repository that they belong to is the copy. It lives as long as the process; one that a killed process has left is
removed by the next.
"""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple

from msgspec.structs import replace

from gitbatch.batch.executor.messages import Welcome
from gitbatch.batch.workplace.detached_worktrees import DetachedTrees
from gitbatch.batch.workplace.kinds import FEW_FILES, WorktreeKind
from gitbatch.batch.workplace.local import LocalWorkplaces
from gitbatch.batch.workplace.protocol import Workplaces, WorkplaceSetup
from gitbatch.batch.workplace.slots import Slots
from gitbatch.batch.workplace.supply import UserFolders, open_workplaces
from gitbatch.checks.tree import FreshTrees
from gitbatch.concurrency import GitThread
from gitbatch.fs.removal import remove_tree
from gitbatch.repo.config_file import render_config
from gitbatch.repo.fingerprint import Fingerprint, take_fingerprint
from gitbatch.repo.objects.pack import FEW_BYTES, FEW_OBJECTS, parse_pack, store_unsynced
from gitbatch.repo.opening import open_repository
from gitbatch.repo.process import Git
from gitbatch.repo.repository import Repository
from gitbatch.repo.settings import is_setting_of_files
from gitbatch.repo.templates.expiry import UNLIMITED
from gitbatch.repo.worktrees.agent_git import read_agent_git
from gitbatch.repo.worktrees.sparse import list_wanted_objects

_LOCK = "lock"
_TARGET = "refs/heads/main"

FindKind = Callable[[int | None], WorktreeKind]
"""Returns the kind of a worktree, by how many files it has; None: all of a commit."""


class BaseWorkplaces(NamedTuple):
    """The workplaces for one commit that work starts from."""

    workplaces: Workplaces
    trees: FreshTrees
    """Those of checks."""


@dataclass(slots=True)
class RepositoryCopy:
    """The copy of one repository, and the workplaces in it, by the commit that they start from."""

    repo: Repository
    git: GitThread
    folder: Path
    """Of this process; `trees` in it has a folder for the worktrees of each base."""
    hidden: tuple[Path, ...]
    """What agents may not read besides."""
    find_kind: FindKind
    around: UserFolders
    fingerprint: Fingerprint
    opened: ExitStack
    slots: Slots
    """Numbers that no other agent of this worker has, of whatever run and connection."""
    _kinds: dict[int | None, WorktreeKind] = field(default_factory=dict)
    """By how many files there are."""
    _bases: dict[tuple[str, WorktreeKind], BaseWorkplaces] = field(default_factory=dict)

    async def open_base(self, setup: WorkplaceSetup) -> Workplaces:
        """Returns the workplaces for a setup, whose objects have been sent.

        Raises:
            GitbatchError: no worktree of the wanted kind can be made.
        """
        return (await self.git(self._open_base, setup)).workplaces

    async def open_trees(self, base: WorkplaceSetup) -> FreshTrees:
        """Returns the folders for checks on top of a base, whose objects have been sent. Raises as `open_base` does."""
        return (await self.git(self._open_base, base)).trees

    def _open_base(self, setup: WorkplaceSetup) -> BaseWorkplaces:
        files = self._count_files(setup)
        if files not in self._kinds:  # it may take a trial
            self._kinds[files] = self.find_kind(files)
        name = setup.commit, self._kinds[files]
        if name not in self._bases:
            self._bases[name] = self._make_base(*name)
        return self._bases[name]

    def _count_files(self, setup: WorkplaceSetup) -> int | None:
        """Returns how many files and folders a worktree has, up to a number that is not few; None: all of the commit."""
        if setup.paths is None:
            return None
        wanted = list_wanted_objects(self.repo.objects, setup.tree, setup.paths)
        return sum(1 for _ in islice(wanted, FEW_FILES + 1))

    def _make_base(self, commit: str, kind: WorktreeKind) -> BaseWorkplaces:
        folder = self.folder / "trees" / f"{commit[:16]}-{kind}"
        folder.mkdir(parents=True, exist_ok=True)
        agent_git = read_agent_git(self.repo, folder, _TARGET)
        # The parents of the commit are not there: git in a worktree ends its log here.
        agent_git = replace(agent_git, files=(*agent_git.files, ("shallow", f"{commit}\n".encode())))
        self.opened.enter_context(closing(agent_git))
        shared = (self.repo, self.git, folder, agent_git, (self.repo.root,), self.fingerprint)
        plain = LocalWorkplaces(*shared, hidden=self.hidden, slots=self.slots)
        supply = self.opened.enter_context(open_workplaces(plain, kind, self.around))
        trees = FreshTrees(*shared, source=DetachedTrees(supply.detached), hidden=self.hidden)
        return BaseWorkplaces(supply.workplaces, trees)

    def store_pack(self, pack: IO[bytes]) -> None:
        """Stores the objects of a pack.

        Raises:
            GitError: it is damaged, or cannot be stored.
        """
        id_bytes = self.repo.id_bytes
        pack.seek(0)
        head = pack.read(FEW_BYTES)
        found = parse_pack(head, id_bytes) if len(head) < FEW_BYTES else None
        if found is not None:
            for whole in found:
                store_unsynced(self.repo.common_dir / "objects", whole, id_bytes)
            return
        descriptor = pack.fileno()
        os.lseek(descriptor, 0, os.SEEK_SET)
        count = int.from_bytes(os.pread(descriptor, 4, 8), "big")
        command = ("unpack-objects", "-q") if count <= FEW_OBJECTS else ("index-pack", "--stdin")
        self.repo.git.run(*command, input=descriptor)


@contextmanager
def open_repository_copy(
    top: Path, welcome: Welcome, git: GitThread, find_kind: FindKind, home: Path
) -> Iterator[RepositoryCopy]:
    """Yields a new copy of a repository below the folder of a worker, and removes it."""
    work, numbers = top / "work", top / "slots"
    for each in (work, numbers):
        each.mkdir(parents=True, exist_ok=True)
    remove_left_over(work)
    folder = work / secrets.token_hex(4)
    folder.mkdir(mode=0o700)
    with ExitStack() as opened:
        opened.callback(remove_tree, folder)
        opened.enter_context(_locked(folder))
        repo = opened.enter_context(closing(_make_repository(folder / "repository", welcome)))
        mark = take_fingerprint(repo, "")
        around = UserFolders(folder / "cache", home, UNLIMITED)
        stack = opened.enter_context(ExitStack())
        yield RepositoryCopy(repo, git, folder, (top,), find_kind, around, mark, stack, Slots(numbers))


def remove_left_over(work: Path) -> None:
    """Removes the copies that killed processes have left."""
    for folder in work.iterdir():
        lock = folder / _LOCK
        try:
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:  # it is being made, or removed
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        else:
            remove_tree(folder)
        finally:
            os.close(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    new = folder / f"{_LOCK}.new"
    descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        new.rename(
            folder / _LOCK
        )  # where another process looks for it, it is locked from the first moment on
        yield
    finally:
        os.close(descriptor)


def _make_repository(root: Path, welcome: Welcome) -> Repository:
    """Makes an empty repository with the settings about files that the orchestrator's has."""
    root.mkdir()
    options = ("--quiet", "--template=", "--initial-branch=main", f"--object-format={welcome.object_format}")
    Git(root).run("init", *options)
    common = root / ".git"
    settings = tuple(pair for pair in welcome.settings if is_setting_of_files(pair[0]))
    with (common / "config").open("ab") as config:
        config.write(render_config(settings))
    (common / "info").mkdir(exist_ok=True)
    (common / "info/attributes").write_bytes(welcome.attributes)
    return open_repository(root, read_only=True)
