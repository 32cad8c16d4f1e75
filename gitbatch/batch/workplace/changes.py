"""Listing what changed in a worktree since it was made, without git and without following links."""

import os
from collections.abc import Iterator

from gitbatch.batch.workplace.protocol import WorkplaceChanges
from gitbatch.fs.disk import raising_only_of_disk
from gitbatch.fs.nofollow import read_small
from gitbatch.repo.worktrees.worktree import Worktree


def list_changes(worktree: Worktree) -> WorkplaceChanges:
    """Returns the files of a worktree whose change time is after its making, and the guarded ones that are missing."""
    missing = (path for path in worktree.guarded if not os.path.lexists(worktree.path / path))
    return WorkplaceChanges(tuple(_walk_changed(worktree)), tuple(missing))


def _walk_changed(worktree: Worktree) -> Iterator[str]:
    """Yields the paths below a worktree, without folders, whose change time is after its making."""
    folders = [""]
    while folders:
        folder = folders.pop()
        with raising_only_of_disk(), os.scandir(worktree.path / folder) as entries:
            for entry in entries:
                path = f"{folder}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    folders.append(f"{path}/")
                elif entry.stat(follow_symlinks=False).st_ctime_ns > worktree.made and not (
                    path == ".git" and _is_original_pointer(worktree)
                ):
                    yield path


def _is_original_pointer(worktree: Worktree) -> bool:
    """Whether the `.git` of a worktree, which is touched when it is made, has the content that it had then."""
    try:
        return read_small(worktree.path, ".git", len(worktree.pointer) + 1) == worktree.pointer
    except OSError:
        return False
