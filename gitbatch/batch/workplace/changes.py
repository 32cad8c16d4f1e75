"""Listing what changed in a worktree since it was made, without git and without following links."""

import os

from gitbatch.batch.workplace.protocol import WorkplaceChanges
from gitbatch.fs.nofollow import read_small
from gitbatch.fs.touched import find_touched
from gitbatch.repo.worktrees.worktree import Worktree


def list_changes(worktree: Worktree) -> WorkplaceChanges:
    """Returns the files of a worktree that were touched after its making, and the guarded ones that are missing."""
    missing = (path for path in worktree.guarded if not os.path.lexists(worktree.path / path))
    touched = find_touched(worktree.path, worktree.made).files
    written = (path for path in touched if path != ".git" or not _is_original_pointer(worktree))
    return WorkplaceChanges(tuple(written), tuple(missing))


def _is_original_pointer(worktree: Worktree) -> bool:
    """Whether the `.git` of a worktree, which is touched when it is made, has the content that it had then."""
    try:
        return read_small(worktree.path, ".git", len(worktree.pointer) + 1) == worktree.pointer
    except OSError:
        return False
