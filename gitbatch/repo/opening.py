"""Opening a repository: finding it, checking that gitbatch can work in it, and reading its settings and the user's name."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from gitbatch.errors import GitbatchError, GitError
from gitbatch.fs.disk import raising_only_of_disk
from gitbatch.repo.environment import scrub_environment
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.process import Git, GitResult
from gitbatch.repo.promised import find_promised
from gitbatch.repo.refs.store import Refs
from gitbatch.repo.repository import Identity, Repository
from gitbatch.repo.settings import (
    files_config,
    lfs_store,
    line_ends,
    loose_form,
    read_settings,
    settings_for_git,
)
from gitbatch.repo.signing import find_signer

OLDEST_GIT = (2, 38)
_UNNAMED = Identity("unnamed", "unnamed@gitbatch.invalid")
"""Of a user who only reads."""


def open_repository(directory: Path, *, read_only: bool = False) -> Repository:
    """Opens the repository that a directory is in.

    Removes the GIT_* variables from this process's environment; of their values only the identity is kept.

    Args:
        directory: inside the repository.
        read_only: nothing will be committed, so the user needs no name: a CI job often has none.

    Raises:
        GitbatchError: git is missing or too old, the repository is missing or bare, or the user has no name in it.
    """
    if not directory.is_dir():
        raise GitbatchError(f"{directory} is not a folder", "name a folder inside a repository with -C")
    if "\n" in str(directory.resolve()):
        raise GitbatchError(
            f"the path of {directory} has a line break in it", "rename the folder: git's answers end at one"
        )
    inherited = scrub_environment()
    git = Git(directory)
    version, found = git.run_all(("--version",), _WHERE, check=False)
    _require_version(version)
    git, (bare, git_dir, common_dir, object_format, *top) = _locate_repository(git, found, inherited)
    if bare == "true":
        raise GitbatchError(
            f"{directory} is in a bare repository", "run gitbatch in a clone that has its files checked out"
        )
    if not top:
        raise GitbatchError(f"{directory} is inside a .git folder", "run gitbatch where the files are")
    root = Path(top[0])
    identity = _UNNAMED if read_only else _read_identity(root, inherited)
    named = {"GIT_COMMITTER_NAME": identity.name, "GIT_COMMITTER_EMAIL": identity.email}  # for reflogs
    settings = read_settings(git.in_directory(root), inherited)
    promised = find_promised(settings, inherited)
    inside = git.in_directory(root, **named).with_config(settings_for_git(settings))
    signer = find_signer(settings, f"{identity.name} <{identity.email}>")
    id_bytes = 32 if object_format == "sha256" else 20
    return Repository(
        root=root,
        git_dir=Path(git_dir),
        common_dir=Path(common_dir),
        identity=identity,
        git=inside,
        objects=Objects(
            *(inside, Path(common_dir) / "objects", id_bytes, promised is not None),
            loose_form(settings),
            signer,
        ),
        refs=Refs(inside, Path(common_dir), Path(git_dir), "0" * (2 * id_bytes)),
        line_ends=line_ends(settings),
        promised=promised,
        files_config=files_config(settings),
        attributes=_own_attributes(Path(common_dir)),
        lfs_store=lfs_store(settings, Path(common_dir)),
    )


def _own_attributes(common_dir: Path) -> bytes:
    with raising_only_of_disk():
        return (common_dir / "info" / "attributes").read_bytes()
    return b""


_ASKED = ("--is-bare-repository", "--absolute-git-dir", "--git-common-dir", "--show-object-format")
_WHERE = ("rev-parse", "--path-format=absolute", *_ASKED, "--show-toplevel")


def _locate_repository(git: Git, found: GitResult, inherited: Mapping[str, str]) -> tuple[Git, list[str]]:
    """Finds the repository: returns a git that works in it, its kind, and its folders.

    Args:
        git: in the directory that the user named.
        found: the answer of git to `_WHERE`.
        inherited: the GIT_* variables that this process was started with.

    Returns:
        The git, and the lines of its answer; the last one is the top of the checkout, if the directory is in one.
    """
    if (
        found.status != 0 and "dubious ownership" in found.stderr
    ):  # to choose what to do; the message that is shown is git's own
        git = _trust_by_user_config(git, found, inherited)
        found = git.run(*_WHERE, check=False)
    answer = os.fsdecode(found.stdout).split("\n")[:-1]  # a path may have other characters that end lines
    if len(answer) not in {len(_ASKED), len(_ASKED) + 1}:
        raise GitbatchError(
            f"{git.directory} is not in a git repository",
            "change into one, name one with -C DIR, or run git init",
        )
    return git, answer


def _trust_by_user_config(git: Git, refused: GitResult, inherited: Mapping[str, str]) -> Git:
    """Returns a git for a repository of another owner, if the user's own configuration trusts it."""
    kept = {name: value for name, value in inherited.items() if name.startswith("GIT_CONFIG")}
    try:
        top = git.run_with_user_config("rev-parse", "--show-toplevel", extra=kept).removesuffix("\n")
    except GitError as error:
        answer = refused.stderr.strip().splitlines()
        advice = "if you trust it, run the git config command that git names: " + answer[-1].strip()
        raise GitbatchError(answer[0].removeprefix("fatal: "), advice) from error
    trust = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": top}
    return git.in_directory(git.directory, **trust)


def require_git(directory: Path) -> str:
    """Returns the version of git.

    Raises:
        GitbatchError: it is missing, or too old.
    """
    answer = Git(directory).run("--version", check=False)
    _require_version(answer)
    return os.fsdecode(answer.stdout).strip().removeprefix("git version ")


def _require_version(answer: GitResult) -> None:
    if answer.status:
        raise GitError(("--version",), answer.status, answer.stderr)
    found = re.search(r"(\d+)\.(\d+)", os.fsdecode(answer.stdout))
    if found and (int(found[1]), int(found[2])) < OLDEST_GIT:
        raise GitbatchError(
            f"git {found[0]} is too old", f"gitbatch needs git {'.'.join(map(str, OLDEST_GIT))} or newer"
        )


def _read_identity(root: Path, inherited: Mapping[str, str]) -> Identity:
    """Returns the user's name and address, from their own configuration and variables."""
    kept = {
        name: value for name, value in inherited.items() if name.startswith(("GIT_COMMITTER_", "GIT_CONFIG"))
    }
    try:
        answer = Git(root).run_with_user_config("var", "GIT_COMMITTER_IDENT", extra=kept)
    except GitError as error:
        advice = 'run: git config user.name "Your Name" && git config user.email you@example.org'
        raise GitbatchError("git does not know who you are", advice) from error
    name, _, rest = answer.partition(" <")
    return Identity(name, rest.partition(">")[0])
