"""Making a repository from a tree of plain files: for the demo."""

import shutil
from pathlib import Path

from gitbatch.errors import GitError
from gitbatch.repo.process import Git, scrub_environment


def make_repository(tree: Path, place: Path) -> None:
    """Copy a tree to a new folder and commit it as the first commit of a new repository.

    The commit is the user's, where git knows them; a name of its own is configured otherwise.
    """
    inherited = scrub_environment()
    shutil.copytree(tree, place, ignore=shutil.ignore_patterns("__pycache__", ".git"), dirs_exist_ok=True)
    git = Git(place)
    git.run("init", "--quiet", "--initial-branch=main")
    git.run("config", "commit.gpgsign", "false")  # nobody has to unlock a key for a demo
    try:
        git.as_user("var", "GIT_COMMITTER_IDENT", extra=inherited)
    except GitError:
        git.run("config", "user.name", "gitbatch demo")
        git.run("config", "user.email", "demo@gitbatch.invalid")
    git.run("add", "--all")
    git.as_user(
        "commit",
        "--quiet",
        "--no-verify",
        "--no-gpg-sign",
        "-m",
        "A small package and a plan to document it",
        extra=inherited,
    )
