"""Fresh folders with the files of a commit, for checks and gates: nothing in them was written by an agent but blobs.

They are made as the worktrees of agents are, without a branch and without an entry in the user's repository: git finds
in such a folder a private git directory whose HEAD is the commit. Each check gets its own, so that what one writes
is not seen by another; the folder is removed as files.
"""

import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Protocol

from msgspec import Struct

from gitbatch.agents.protocol import AgentFolders
from gitbatch.concurrency import GitThread, shielded
from gitbatch.fs.disk import DiskError
from gitbatch.fs.removal import remove_anything, remove_tree
from gitbatch.repo.fingerprint import Fingerprint, require_untouched
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.agent_git import AgentGit, git_dir_of
from gitbatch.repo.worktrees.worktree import make_detached


class TreeSource(Protocol):
    """Another way to make fresh folders than by a checkout of their own."""

    def is_for(self, content: "TreeContent") -> bool:
        """Returns whether it makes a folder with some content better."""
        ...

    def open_folders(self, path: Path, content: "TreeContent") -> AbstractAsyncContextManager[AgentFolders]:
        """Makes a folder with the files of a commit, and removes it at the end.

        Args:
            path: where it is made; no such folder exists.
            content: what is in it, without its blob.

        Raises:
            DiskError: it cannot be made.
        """
        ...


class FreshTrees(Struct, frozen=True):
    """A supply of fresh folders."""

    repo: Repository
    git: GitThread
    folder: Path
    """In which they are made: the batch's folder for worktrees, or one of its kind."""
    agent_git: AgentGit
    """Makes their git directories. Its owner closes it."""
    checkouts: tuple[Path, ...]
    """The user's checkouts and git directories, which no check may read."""
    fingerprint: Fingerprint
    """The repository's control files when the run began."""
    source: TreeSource | None = None
    """Makes those folders that it is for; None: each gets a checkout."""
    hidden: tuple[Path, ...] = ()
    """More folders that no check may read."""


class TreeContent(Struct, frozen=True):
    """The content of a fresh folder."""

    commit: str
    """The commit whose files it has."""
    base: str
    """The commit that the target branch is at, for git in the folder."""
    paths: tuple[str, ...] | None = None
    """The only paths to check out (a folder ends in a slash); None: all."""
    output: str = ""
    """The path of the one new file; empty for the tree of a group."""
    blob: str = ""
    """The output, which is put into a file of its own too (`CheckFolder.blob`)."""


class CheckFolder(Struct, frozen=True):
    """A fresh folder that is ready for one check."""

    folders: AgentFolders
    blob: Path | None
    """A file outside of the worktree with the bytes of `TreeContent.blob`."""


@asynccontextmanager
async def open_tree(trees: FreshTrees, name: str, content: TreeContent) -> AsyncIterator[CheckFolder]:
    """Makes a fresh folder, and removes it at the end.

    Args:
        trees: the supply.
        name: the beginning of the folder's name; it need not be unique.
        content: what is in it.

    Raises:
        DiskError: it cannot be made.
    """
    path = trees.folder / f"{name}-{secrets.token_hex(4)}"
    if trees.source is not None and trees.source.is_for(content):
        async with trees.source.open_folders(path, content) as folders:
            yield CheckFolder(folders, await trees.git(_put_blob, trees.repo, folders.scratch, content))
        return
    try:
        made = await trees.git(_make_folder, trees, path, content)
    except BaseException:
        with suppress(OSError):  # the first error is the one that counts
            await shielded(trees.git(_remove_folder, path))
        raise
    try:
        yield made
    finally:
        await shielded(trees.git(_remove_folder, path))


def _make_folder(trees: FreshTrees, path: Path, content: TreeContent) -> CheckFolder:
    repo, scratch = trees.repo, _scratch_of(path)
    require_untouched(repo, trees.fingerprint)
    repo.objects.writer.flush()  # other git processes read the objects
    with _raising_disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        make_detached(repo, trees.agent_git, path, content.commit, content.base, content.paths)
        scratch.mkdir()
    folders = AgentFolders(
        worktree=path,
        scratch=scratch,
        git=trees.agent_git.readable(path, content.base),
        checkouts=trees.checkouts,
        hidden=(trees.folder.parent.parent, *trees.hidden),
    )
    return CheckFolder(folders, _put_blob(repo, scratch, content))


def _put_blob(repo: Repository, scratch: Path, content: TreeContent) -> Path | None:
    """Puts the output into a file of its own, if there is one."""
    if not content.blob:
        return None
    blob = scratch / "output" / PurePosixPath(content.output).name
    with _raising_disk_errors(scratch.parent):
        blob.parent.mkdir()
        with blob.open("wb") as file:
            repo.objects.copy_to_fd(content.blob, file.fileno())
    return blob


@contextmanager
def _raising_disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"cannot make a folder for a check in {folder}: {error.strerror}",
            "free disk space, or make the folder writable; then resume: gitbatch run",
        ) from error


def _remove_folder(path: Path) -> None:
    for folder in (path, _scratch_of(path)):
        remove_tree(folder)
    remove_anything(git_dir_of(path))


def _scratch_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.io")
