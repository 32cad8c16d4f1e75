"""The folders in which a batch makes its worktrees: noted before the first is made, and removed with all that is in them."""

import os
from contextlib import suppress
from pathlib import Path

from gitbatch.fs.disk import raising_only_of_disk
from gitbatch.fs.durable import write_file
from gitbatch.fs.removal import remove_tree
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.worktree import remove_records, remove_worktree, worktrees_named

_WORKTREES_DIRS = "workshops"
"""In a batch's folder of ours: where its worktrees were made, each path ended by NUL."""


def note_worktrees_dir(repo: Repository, batch: str, worktrees_dir: Path) -> None:
    """Write down where a batch makes its worktrees, before it makes the first.

    A later start may make them elsewhere (the repository's folder was renamed, a setting changed), and must still
    find these.
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
    """The folders in which a batch has made worktrees, as far as we have written down.

    Only folders called as the batch are: whoever changes our notes has no other removed.
    """
    with raising_only_of_disk():
        noted = (repo.own_dir / batch / _WORKTREES_DIRS).read_bytes().split(b"\0")
        paths = (Path(os.fsdecode(path)) for path in noted if path)
        return tuple(path for path in paths if path.is_absolute() and path.name == batch)
    return ()


def remove_leftovers(repo: Repository, batch: str) -> None:
    """Remove every worktree of a batch, wherever it was made, and the folders that they were made in."""
    for path in worktrees_named(repo, f"{batch}-"):
        remove_worktree(repo, path)
    remove_records(repo, f"{batch}-")
    for worktrees_dir in worktrees_dirs(repo, batch):
        remove_tree(worktrees_dir)
        with suppress(OSError):  # another batch may be at home there
            worktrees_dir.parent.rmdir()
