"""Creates a repository from a tree of plain files, for the demo.

No agent has touched it yet, and its cost does not matter, so GitPython is used. A run uses `process.py`.
"""

import os
import shutil
from pathlib import Path

from gitbatch.errors import GitbatchError, GitError
from gitbatch.repo.environment import scrub_environment
from gitbatch.repo.process import NO_GIT

os.environ.setdefault(
    "GIT_PYTHON_REFRESH", "quiet"
)  # without git, the import would raise; the error is reported below
from git import Git
from git.exc import GitCommandError, GitCommandNotFound

_KEPT = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG")
"""Prefixes of the user's variables that are kept: their identity. Others name another repository."""


def make_repository(
    folder: Path, *trees: Path, message: str = "A small package and a plan to document it"
) -> None:
    """Copies trees to a new folder, later ones over earlier ones, and commits it as the first commit of a new repository.

    The commit is the user's if git knows their name; otherwise a name is configured in the repository.

    Raises:
        GitbatchError: git is missing.
        GitError: git failed.
    """
    inherited = {name: value for name, value in scrub_environment().items() if name.startswith(_KEPT)}
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _create_repository(folder.resolve(), trees, inherited, message)
    except GitCommandNotFound as error:
        raise GitbatchError(*NO_GIT) from error
    except GitCommandError as error:
        argv = tuple(str(part) for part in error.command[3:])
        raise GitError(argv, error.status if isinstance(error.status, int) else 1, error.stderr) from error


def _create_repository(
    folder: Path, trees: tuple[Path, ...], inherited: dict[str, str], message: str
) -> None:
    def run_git(*arguments: str, **variables: str) -> None:
        # GitPython expands $NAME in its own path; in an argument it does not.
        Git().execute(["git", "-C", str(folder), *arguments], env=variables)

    configured = {name: value for name, value in inherited.items() if name.startswith("GIT_CONFIG")}
    # Without the user's configuration: it could name a template with hooks.
    run_git("init", "--quiet", "--initial-branch=main", GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")
    run_git("config", "commit.gpgsign", "false")  # a demo must not ask for a key
    try:
        run_git("var", "GIT_COMMITTER_IDENT", **configured)
    except GitCommandError:
        # Variables may name the user; but they are not set when the repository is opened later.
        run_git("config", "user.name", inherited.get("GIT_COMMITTER_NAME", "gitbatch demo"))
        run_git("config", "user.email", inherited.get("GIT_COMMITTER_EMAIL", "demo@gitbatch.invalid"))
    for tree in trees:
        shutil.copytree(
            tree, folder, ignore=shutil.ignore_patterns("__pycache__", ".git"), dirs_exist_ok=True
        )
    run_git("add", "--all", "--force")  # also what the user's own ignore file excludes
    unhooked = ("-c", "core.hooksPath=/dev/null", "commit", "--quiet", "--no-gpg-sign")
    run_git(*unhooked, "--message", message, **inherited)
