"""Making a repository from a tree of plain files: for the demo.

Nothing of it is an agent's yet, and nothing must be quick, so GitPython does it. What a run does, `process.py` does.
"""

import os
import shutil
from pathlib import Path

from gitbatch.errors import GitbatchError, GitError
from gitbatch.repo.environment import scrub_environment
from gitbatch.repo.process import NO_GIT

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # without git, importing it raises; we say it ourselves
from git import Git
from git.exc import GitCommandError, GitCommandNotFound

_KEPT = ("GIT_AUTHOR_", "GIT_COMMITTER_", "GIT_CONFIG")
"""What counts of the user's variables: who they are. Others say where another repository is."""


def make_repository(place: Path, *trees: Path) -> None:
    """Copy trees to a new folder, later ones over earlier ones, and commit it as the first commit of a new repository.

    The commit is the user's, where git knows them; a name of its own is configured otherwise.

    Raises:
        GitbatchError: git is not there.
        GitError: git failed.
    """
    inherited = {name: value for name, value in scrub_environment().items() if name.startswith(_KEPT)}
    place.mkdir(parents=True, exist_ok=True)
    try:
        _make(place.resolve(), trees, inherited)
    except GitCommandNotFound as error:
        raise GitbatchError(*NO_GIT) from error
    except GitCommandError as error:
        argv = tuple(str(part) for part in error.command[3:])
        raise GitError(argv, error.status if isinstance(error.status, int) else 1, error.stderr) from error


def _make(place: Path, trees: tuple[Path, ...], inherited: dict[str, str]) -> None:
    def git(*arguments: str, **variables: str) -> None:
        # GitPython would replace a $NAME in a path of its own; in an argument it does not.
        Git().execute(["git", "-C", str(place), *arguments], env=variables)

    configured = {name: value for name, value in inherited.items() if name.startswith("GIT_CONFIG")}
    # Without what the user has configured: it could bring a template with hooks.
    git("init", "--quiet", "--initial-branch=main", GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")
    git("config", "commit.gpgsign", "false")  # nobody has to unlock a key for a demo
    try:
        git("var", "GIT_COMMITTER_IDENT", **configured)
    except GitCommandError:
        # Variables may say it; but the repository is opened more than once, and they are there once.
        git("config", "user.name", inherited.get("GIT_COMMITTER_NAME", "gitbatch demo"))
        git("config", "user.email", inherited.get("GIT_COMMITTER_EMAIL", "demo@gitbatch.invalid"))
    for tree in trees:
        shutil.copytree(tree, place, ignore=shutil.ignore_patterns("__pycache__", ".git"), dirs_exist_ok=True)
    git("add", "--all", "--force")  # whatever the user ignores everywhere
    message = "A small package and a plan to document it"
    unhooked = ("-c", "core.hooksPath=/dev/null", "commit", "--quiet", "--no-gpg-sign")
    git(*unhooked, "--message", message, **inherited)
