"""Evaluates ignore and attribute files, of a commit or of the checkout, for paths. No program is run.

The files of the repository count, and its `.git/info`; the user's own (`core.excludesFile`, `core.attributesFile`) do
not, as they do not belong to the project.
"""

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from gitbatch.errors import GitError
from gitbatch.paths import ancestors, decode_path, encode_path
from gitbatch.repo.private_dir import private_git
from gitbatch.repo.process import Git
from gitbatch.repo.refs.lock_files import TEMPORARY
from gitbatch.repo.repository import Repository

ATTRIBUTES, IGNORE = ".gitattributes", ".gitignore"
RULE_FILES = (ATTRIBUTES, IGNORE)
_EXCLUDE = ".git/info/exclude"
_ABSENT = frozenset({"unspecified", "unset", "set"})


class Pattern(Struct, frozen=True):
    """A pattern that ignores a path, and the file that has it."""

    text: str
    file: str


def find_filters(repo: Repository, tree: str | None, paths: Iterable[str]) -> Mapping[str, str]:
    """Returns the filter (such as lfs) of each path that has one.

    Args:
        repo: the repository.
        tree: the tree whose attribute files count; None: those of the checkout.
        paths: the paths.
    """
    asked = tuple(paths)
    if tree is not None and not _is_mentioned(repo, tree, asked, b"filter"):
        return {}
    with _in_checkout(repo, tree, asked, ATTRIBUTES) as git:
        options = ("-c", f"core.attributesFile={os.devnull}")
        answer = _query(git, asked, *options, "check-attr", "-z", "--stdin", "filter")
    return {
        path: value
        for path, _, value in zip(answer[::3], answer[1::3], answer[2::3], strict=False)
        if value not in _ABSENT
    }


def find_ignored(repo: Repository, tree: str | None, paths: Iterable[str]) -> Mapping[str, Pattern]:
    """Returns the pattern that ignores each path that is ignored and not tracked, with the file that has it.

    Args:
        repo: the repository.
        tree: the tree whose ignore files count, and that has none of the paths; None: those of the checkout.
        paths: the paths; none is below a submodule or a link.
    """
    asked = tuple(paths)
    own = repo.common_dir / "info" / "exclude"
    if tree is not None and not _has_patterns(own) and not any(rule_files(repo, tree, asked, IGNORE)):
        return {}
    options = ("-c", f"core.excludesFile={own if tree is not None else os.devnull}")
    command = ("check-ignore", "-z", "--verbose", "--stdin", *(("--no-index",) if tree is not None else ()))
    with _in_checkout(repo, tree, asked, IGNORE) as git:
        answer = _query(git, asked, *options, *command)
    found = zip(answer[::4], answer[2::4], answer[3::4], strict=False)
    return {path: Pattern(text, _file_name(file)) for file, text, path in found if not text.startswith("!")}


def _file_name(file: str) -> str:
    """Returns the usual name of a pattern's file: git prints the whole path of the one in its own folder."""
    return _EXCLUDE if file.endswith(_EXCLUDE.removeprefix(".git")) else file


def _query(git: Git, paths: tuple[str, ...], *command: str) -> list[str]:
    """Returns the fields of git's answer for paths; `check-ignore` exits with 1 if nothing is ignored.

    Raises:
        GitError: git cannot answer.
    """
    asking = git.in_directory(git.directory, GIT_LITERAL_PATHSPECS="0")  # check-ignore refuses to run with it
    lines = b"".join(encode_path(path) + b"\0" for path in paths)
    done = asking.run(*command, input=lines, check=False)
    if done.status > 1:
        raise GitError(command, done.status, done.stderr)
    return decode_path(done.stdout).split("\0")[:-1]


def _has_patterns(file: Path) -> bool:
    """Whether a file may have patterns: one that git has made has comments alone. One that cannot be read may have some."""
    try:
        lines = file.read_bytes().splitlines()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return any(line and not line.startswith(b"#") for line in lines)


def _is_mentioned(repo: Repository, tree: str, paths: tuple[str, ...], word: bytes) -> bool:
    """Whether any attribute file that applies to the paths contains a word."""
    return word in repo.attributes or any(
        word in repo.objects.read_blob(oid) for _, oid in rule_files(repo, tree, paths)
    )


def rule_files(
    repo: Repository, tree: str, paths: Iterable[str], name: str = ATTRIBUTES
) -> Iterator[tuple[str, str]]:
    """Yields path and blob of the files with a name in the folders of paths."""
    folders = {f"{above}/" for path in paths for above in ancestors(path)} | {""}
    for folder in sorted(folders):
        entry = repo.objects.find_entry(tree, f"{folder}{name}")
        if entry and entry.is_file:
            yield f"{folder}{name}", entry.oid


@contextmanager
def _in_checkout(repo: Repository, tree: str | None, paths: tuple[str, ...], name: str) -> Iterator[Git]:
    """Yields a git in the checkout; for a commit: in a folder that has its files with that name and nothing else."""
    if tree is None:
        yield repo.git
        return
    with _git_in_empty_folder(repo) as git:
        for path, oid in rule_files(repo, tree, paths, name):
            (git.directory / path).parent.mkdir(parents=True, exist_ok=True)
            (git.directory / path).write_bytes(repo.objects.read_blob(oid))
        yield git


@contextmanager
def _git_in_empty_folder(repo: Repository) -> Iterator[Git]:
    """Yields a private git in an empty folder; a plain one if the repository is read-only, as no batch can run then."""
    if os.access(repo.common_dir, os.W_OK):
        with private_git(repo) as git:
            yield git
        return
    with tempfile.TemporaryDirectory(prefix=TEMPORARY) as folder:
        yield repo.git.in_directory(
            Path(folder), GIT_DIR=str(repo.git_dir), GIT_WORK_TREE=folder, GIT_ATTR_NOSYSTEM="1"
        )
