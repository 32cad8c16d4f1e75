"""Reads the history of a finished batch with GitPython, for `gitbatch status`.

It is read once and nothing waits for it, so GitPython's cost does not matter, and its model of commits is enough. git runs
with the environment and configuration of every other git process of ours (`environment.py`). A run uses `objects/`.
"""

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from gitbatch.errors import GitbatchError, GitError
from gitbatch.repo.environment import CONFIGURATION, ENVIRONMENT
from gitbatch.repo.process import NO_GIT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from git import Commit, Repo


class LogEntry(Struct, frozen=True):
    """A commit of a log."""

    oid: str
    message: str
    author: str = ""
    """The name; empty if the commit has none."""


def read_first_parents(root: Path, base: str, end: str) -> tuple[LogEntry, ...]:
    """Returns the commits after `base` up to `end`, by first parents, the oldest first.

    Raises:
        GitbatchError: git is missing.
        GitError: git cannot list the commits, such as when one is missing.
    """
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # without git, the import would raise
    from git import GitCommandError, GitCommandNotFound  # noqa: PLC0415 - it takes 80 ms

    try:
        with _opened(root) as repo:
            listed = repo.iter_commits(f"{base}..{end}", first_parent=True, reverse=True)
            return tuple(map(_as_entry, listed))
    except GitCommandNotFound as error:
        raise GitbatchError(*NO_GIT) from error
    except GitCommandError as error:
        status = error.status if isinstance(error.status, int) else 1
        raise GitError(("rev-list", f"{base}..{end}"), status, error.stderr) from error


@contextmanager
def _opened(root: Path) -> "Iterator[Repo]":
    from git import Repo  # noqa: PLC0415 - as above

    with Repo(root) as repo:
        repo.git.update_environment(**ENVIRONMENT)
        repo.git.set_persistent_git_options(c=list(CONFIGURATION))
        yield repo


def _as_entry(commit: "Commit") -> LogEntry:
    message = commit.message  # bytes if the commit states an encoding that Python does not know
    text = message if isinstance(message, str) else message.decode(errors="replace")
    return LogEntry(commit.hexsha, text, commit.author.name or "")
