"""Making a repository from a tree of plain files: for the demo.

Nothing of it is an agent's yet, and nothing must be quick, so GitPython does it. What a run does, `process.py` does.
"""

import os
import shutil
from pathlib import Path

from gitbatch.errors import GitbatchError, GitError
from gitbatch.repo.process import NO_GIT, scrub_environment

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # without git, importing it raises; we say it ourselves
from git import Git, Repo, exc


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
    except exc.GitCommandNotFound as error:
        raise GitbatchError(*NO_GIT) from error
    except exc.GitCommandError as error:
        argv = tuple(str(part) for part in error.command[1:])
        raise GitError(argv, error.status if isinstance(error.status, int) else 1, error.stderr) from error


def _make(place: Path, trees: tuple[Path, ...], inherited: dict[str, str]) -> None:
    nothing_of_the_users = {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
    }  # no template of hooks
    Git(place).execute(["git", "init", "--quiet", "--initial-branch=main"], env=nothing_of_the_users)
    with Repo(place, expand_vars=False) as repo:  # a path is a path, also one with a $ in it
        configured = {name: value for name, value in inherited.items() if name.startswith("GIT_CONFIG")}
        repo.git.update_environment(**configured)
        with repo.config_writer() as config:
            config.set_value("commit", "gpgsign", "false")  # nobody has to unlock a key for a demo
            try:
                repo.git.var("GIT_COMMITTER_IDENT")
            except exc.GitCommandError:
                # Variables may say it; but the repository is opened more than once, and they are there once.
                config.set_value("user", "name", inherited.get("GIT_COMMITTER_NAME", "gitbatch demo"))
                email = inherited.get("GIT_COMMITTER_EMAIL", "demo@gitbatch.invalid")
                config.set_value("user", "email", email)
        for tree in trees:
            ignored = shutil.ignore_patterns("__pycache__", ".git")
            shutil.copytree(tree, place, ignore=ignored, dirs_exist_ok=True)
        repo.git.update_environment(**inherited)
        repo.git.add("--all")
        message = "A small package and a plan to document it"
        repo.git.commit("--quiet", "--no-verify", "--no-gpg-sign", "--message", message)
