"""A commit of the user's: their git, configuration, hooks, signature and identity, about one path and nothing else.

Only a person who asks for it starts this. All other commits are built from objects (`objects/`).
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from gitbatch.errors import GitError
from gitbatch.repo.process import Git

_KEPT = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG", "GIT_EDITOR")
"""Beginnings of the names of variables that say who the user is, and not which repository is meant."""
_PREFIX = "gitbatch-edit-"


class UserGit(Struct, frozen=True):
    """The user's git, with the variables of their environment that opening a repository removes."""

    variables: Mapping[str, str]

    def run_git(self, folder: Path, *arguments: str) -> tuple[int, str]:
        """Runs a command in a folder; returns its exit status and all that it printed."""
        done = Git(folder).run_as_user(*arguments, extra={**self.variables, "GIT_LITERAL_PATHSPECS": "1"})
        return done.status, done.stdout.decode(errors="replace")

    def commit_path(self, folder: Path, path: str, message: str) -> str:
        """Commits what a checkout has at one path; what else is staged stays staged. Returns the commit.

        Raises:
            GitError: git, a hook or the signing program refused; `stderr` is what they printed.
        """
        self._require_run(folder, "commit", "--quiet", "--only", "--message", message, "--", path)
        return self._require_run(folder, "rev-parse", "HEAD").strip()

    def _require_run(self, folder: Path, *arguments: str) -> str:
        status, printed = self.run_git(folder, *arguments)
        if status:
            raise GitError(arguments, status, printed)
        return printed

    @contextmanager
    def check_out(self, root: Path, commit: str) -> Iterator[Path]:
        """Yields a private folder with the files of a commit, which no branch is checked out in; removes it.

        Raises:
            GitError: git cannot check it out.
        """
        with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as made:
            folder = Path(made) / root.name
            without_hooks = ("-c", f"core.hooksPath={os.devnull}")
            self._require_run(
                root, *without_hooks, "worktree", "add", "--quiet", "--detach", str(folder), commit
            )
            try:
                yield folder
            finally:
                self.run_git(root, "worktree", "remove", "--force", "--force", str(folder))


def select_user_variables(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the variables of an environment that say who the user is to git."""
    return {name: value for name, value in environment.items() if name.startswith(_KEPT)}
