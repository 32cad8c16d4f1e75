"""Stores and writes files by the attributes of a commit, as `git add` would, but without running a filter.

The attributes are those of the base commit (and the user's `.git/info/attributes` as it was when the process started),
not those of a folder that an agent could write: git works in a private git directory (`private_dir.py`), in a checkout
that has the commit's `.gitattributes` files and nothing else. One difference to `git add` is left: with `text=auto`, a
file whose old version has CRLF is converted all the same.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gitbatch.fs.durable import replacing_unsynced
from gitbatch.fs.nofollow import directory
from gitbatch.repo.objects.writer import WRITE_BLOB
from gitbatch.repo.path_rules import rule_files
from gitbatch.repo.private_dir import private_git
from gitbatch.repo.process import Git
from gitbatch.repo.repository import Repository

_ABSENT = frozenset({b"unspecified", b"unset"})

Rules = tuple[tuple[str, bytes], ...]
"""Attribute files: path and content of each."""


class FilteredPathError(Exception):
    """A path has a filter (for example Git LFS), which would have to be run to store a file at it."""


def store(repo: Repository, descriptor: int, tree: str, path: str) -> str:
    """Stores the file behind a descriptor as the blob for `path` on top of `tree`; only git reads it. Returns its id.

    Raises:
        FilteredPathError: the path has a filter attribute.
    """
    rules = read_rules(repo, tree, (path,))
    if not rules and not repo.attributes and not repo.line_ends.stored:
        return repo.objects.write_blob(descriptor)
    with as_committed(repo, rules) as git:
        _require_no_filter(repo, git, rules, path)
        made = git.run(*WRITE_BLOB, "--stdin", f"--path={path}", input=descriptor)
        return repo.objects.writer.mark_unsynced(made.stdout.decode().strip())


def put_output(repo: Repository, worktree: Path, path: str, blob: str, tree: str) -> None:
    """Writes a blob to a path of a new worktree atomically, as a checkout would, but without filters.

    Raises:
        OSError: it cannot be written there.
        FilteredPathError: the path has a filter attribute.
        GitError: the blob is missing.
    """
    *parents, name = path.split("/")
    with (
        directory(worktree, tuple(parents), create=True) as parent,
        replacing_unsynced(parent, name) as descriptor,
    ):
        _write_as_checkout(repo, descriptor, tree, path, blob)


def _write_as_checkout(repo: Repository, descriptor: int, tree: str, path: str, blob: str) -> None:
    """Writes a blob to a file in the form that `store` converts back to the same blob."""
    rules = read_rules(repo, tree, (path,))
    if not rules and not repo.attributes and not repo.line_ends.stored:
        repo.objects.copy_to_fd(blob, descriptor)
        return
    with as_committed(repo, rules) as git:
        _require_no_filter(repo, git, rules, path)
        git.run_to_fd(descriptor, "cat-file", "--filters", f"--path={path}", blob)


def require_no_filter(repo: Repository, tree: str, path: str) -> None:
    """Raises an error for a path with a filter, before an agent works on it.

    Raises:
        FilteredPathError: the path has a filter attribute.
    """
    rules = read_rules(repo, tree, (path,))
    if _may_filter(repo, rules):
        with as_committed(repo, rules) as git:
            _require_no_filter(repo, git, rules, path)


def read_rules(repo: Repository, tree: str, paths: Iterable[str]) -> Rules:
    """Returns the attribute files of a tree that apply to some paths."""
    return tuple((path, repo.objects.read_blob(oid)) for path, oid in rule_files(repo, tree, paths))


@contextmanager
def as_committed(repo: Repository, rules: Rules) -> Iterator[Git]:
    """Yields a private git in a checkout that has attribute files and nothing else."""
    with private_git(repo) as git:
        for path, content in rules:
            (git.directory / path).parent.mkdir(parents=True, exist_ok=True)
            (git.directory / path).write_bytes(content)
        yield git


def _may_filter(repo: Repository, rules: Rules) -> bool:
    """Whether any attribute file contains the word; only then git is asked."""
    return any(b"filter" in text for text in (repo.attributes, *(content for _, content in rules)))


def _require_no_filter(repo: Repository, git: Git, rules: Rules, path: str) -> None:
    if not _may_filter(repo, rules):
        return
    answer = git.run("check-attr", "-z", "filter", "--", path).stdout.split(b"\0")
    if len(answer) > 2 and answer[2] not in _ABSENT:
        raise FilteredPathError(
            f"{path} has the filter {answer[2].decode(errors='replace')} (git attributes)"
        )
