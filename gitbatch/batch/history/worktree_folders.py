"""The folders in which a batch creates its worktrees: listed in a file first, so that any later start can remove them."""

import os
from contextlib import suppress
from pathlib import Path

from gitbatch.fs.disk import raising_only_of_disk
from gitbatch.fs.durable import write_file
from gitbatch.fs.removal import remove_tree
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.worktree import remove_worktree, remove_worktree_entries, worktrees_named

_WORKTREES_DIRS = "workshops"
"""A file in the batch's folder below `.git/gitbatch`: the paths of its worktree folders, each followed by NUL."""


def note_worktrees_dir(repo: Repository, batch: str, worktrees_dir: Path) -> None:
    """Adds a folder to the list, before the first worktree in it is created.

    A later start may use another folder (the repository was renamed, a setting changed), and must still find this one.
    """
    known = worktrees_dirs(repo, batch)
    if worktrees_dir in known:
        return
    folder = repo.own_dir / batch
    folder.mkdir(parents=True, exist_ok=True)
    write_file(
        folder / _WORKTREES_DIRS, b"".join(os.fsencode(path) + b"\0" for path in (*known, worktrees_dir))
    )


def worktrees_dirs(repo: Repository, batch: str) -> tuple[Path, ...]:
    """Returns the listed folders in which a batch created worktrees.

    Only folders with the batch's id as their name: an edited list cannot make gitbatch remove any other folder.
    """
    with raising_only_of_disk():
        noted = (repo.own_dir / batch / _WORKTREES_DIRS).read_bytes().split(b"\0")
        paths = (Path(os.fsdecode(path)) for path in noted if path)
        return tuple(path for path in paths if path.is_absolute() and path.name == batch)
    return ()


def remove_leftovers(repo: Repository, batch: str) -> None:
    """Removes every worktree of a batch, and the folders in which they were created."""
    for path in worktrees_named(repo, f"{batch}-"):
        remove_worktree(repo, path)
    remove_worktree_entries(repo, f"{batch}-")
    for worktrees_dir in worktrees_dirs(repo, batch):
        remove_tree(worktrees_dir)
        with suppress(OSError):  # another batch may use it too
            worktrees_dir.parent.rmdir()
