"""Making a repository from a tree of plain files: for the demo."""

import shutil
from pathlib import Path

from gitbatch.errors import GitError
from gitbatch.repo.process import Git, scrub_environment


def make_repository(place: Path, *trees: Path) -> None:
    """Copy trees to a new folder, later ones over earlier ones, and commit it as the first commit of a new repository.

    The commit is the user's, where git knows them; a name of its own is configured otherwise.
    """
    inherited = scrub_environment()
    for tree in trees:
        shutil.copytree(tree, place, ignore=shutil.ignore_patterns("__pycache__", ".git"), dirs_exist_ok=True)
    git = Git(place)
    git.run("init", "--quiet", "--initial-branch=main")
    git.run("config", "commit.gpgsign", "false")  # nobody has to unlock a key for a demo
    try:
        kept = {name: value for name, value in inherited.items() if name.startswith("GIT_CONFIG")}
        git.as_user("var", "GIT_COMMITTER_IDENT", extra=kept)
    except (
        GitError
    ):  # variables say it at most: the repository is opened more than once, and they are there once
        git.run("config", "user.name", inherited.get("GIT_COMMITTER_NAME", "gitbatch demo"))
        git.run("config", "user.email", inherited.get("GIT_COMMITTER_EMAIL", "demo@gitbatch.invalid"))
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
