"""Uncommitted changes in the files that decide what runs: a run reads these from the commit, and does not use the changes."""

from collections.abc import Iterator
from contextlib import suppress

from gitbatch.errors import GitError, PlanError
from gitbatch.fs.nofollow import read_small
from gitbatch.project.config import CONFIG_FILE, parse_config
from gitbatch.project.control import CONVENTIONAL, PlanChoice, find_project
from gitbatch.project.scope import SCOPE_FILE
from gitbatch.project.snapshot import Snapshot
from gitbatch.repo.checkout.follow import find_uncommitted
from gitbatch.repo.repository import Repository
from gitbatch.repo.snapshot import TreeSnapshot

_LIMIT = 64 * 1024 * 1024
"""A larger file is compared by git alone."""


def find_unused_changes(repo: Repository, choice: PlanChoice) -> tuple[str, ...]:
    """Returns the files that decide what runs and have changes that are not in the checked-out commit.

    Nothing is returned where it cannot be known: in a repository that cannot be written, or that lacks an object.
    """
    with suppress(GitError, OSError):
        commit = repo.head_commit()
        if commit is None:
            return ()
        snapshot = TreeSnapshot(repo.objects, repo.objects.tree_of(commit))
        return find_uncommitted(repo, tuple(_find_differing(repo, snapshot, choice)))
    return ()


def _find_differing(repo: Repository, snapshot: Snapshot, choice: PlanChoice) -> Iterator[str]:
    """Yields the files whose bytes are not those of the commit, so that git is asked only where there are some."""
    for path in _list_files(snapshot, choice):
        content = None
        with suppress(OSError):
            content = read_small(repo.root, path, _LIMIT)
        if content != snapshot.read(path):
            yield path


def _list_files(snapshot: Snapshot, choice: PlanChoice) -> tuple[str, ...]:
    try:
        return find_project(snapshot, parse_config(snapshot.read(CONFIG_FILE)), choice).read_files
    except PlanError:  # perhaps because what it lacks is not committed yet
        return (CONFIG_FILE, SCOPE_FILE, *((choice.path,) if choice.path else CONVENTIONAL))
