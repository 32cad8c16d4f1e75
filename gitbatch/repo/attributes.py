"""Storing a file as `git add` would: line ends by the attributes of a commit, and no filter is ever run.

The attributes are those of the base commit (and the user's `.git/info/attributes`), not those of a folder that an
agent could write: git gets a checkout that has the commit's `.gitattributes` files and nothing else. One difference to
`git add` is left: with `text=auto`, a file whose old version has CRLF is converted all the same.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitbatch.repo.process import Git
from gitbatch.repo.repository import Repository
from gitbatch.repo.stale import TEMPORARY
from gitbatch.repo.writer import WRITE_BLOB

_NAME = ".gitattributes"
_ABSENT = frozenset({b"unspecified", b"unset"})


class FilteredPathError(Exception):
    """A path has a filter (for example Git LFS), which would have to be run to store a file at it."""


def store(repo: Repository, descriptor: int, tree: str, path: str) -> str:
    """Store the file behind a descriptor as the blob that belongs at `path` above `tree`; git reads it, we don't.

    Raises:
        FilteredPathError: the path has a filter attribute.
    """
    rules = rule_files(repo, tree, path)
    if not rules and not _own_rules(repo) and not repo.line_ends.stored:
        return repo.objects.write_blob(descriptor)
    with _as_committed(repo, rules) as git:
        _require_no_filter(git, path)
        made = git.feed(descriptor, *WRITE_BLOB, "--stdin", f"--path={path}")
        return repo.objects.writer.note(made.stdout.decode().strip())


def require_no_filter(repo: Repository, tree: str, path: str) -> None:
    """Refuse a path before anybody works on it. Asks git only where the word is said at all.

    Raises:
        FilteredPathError: the path has a filter attribute.
    """
    rules = rule_files(repo, tree, path)
    if any(b"filter" in said for said in (_own_rules(repo), *(repo.objects.blob(oid) for _, oid in rules))):
        with _as_committed(repo, rules) as git:
            _require_no_filter(git, path)


@contextmanager
def _as_committed(repo: Repository, rules: list[tuple[str, str]]) -> Iterator[Git]:
    """A git in a checkout that has attribute files and nothing else."""
    with tempfile.TemporaryDirectory(prefix=TEMPORARY, dir=repo.own_dir) as folder:
        for place, oid in rules:
            (Path(folder) / place).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / place).write_bytes(repo.objects.blob(oid))
        yield repo.git.at(Path(folder), **_variables(repo, folder))


def _own_rules(repo: Repository) -> bytes:
    """The attributes that are the user's alone, in no commit."""
    try:
        return (repo.common_dir / "info" / "attributes").read_bytes()
    except OSError:
        return b""


def rule_files(repo: Repository, tree: str, path: str) -> list[tuple[str, str]]:
    """The attribute files of a commit that speak of a path: path and blob of each."""
    parts = path.split("/")[:-1]
    places = ["/".join([*parts[:end], _NAME]) for end in range(len(parts) + 1)]
    found = ((place, repo.objects.entry(tree, place)) for place in places)
    return [(place, entry.oid) for place, entry in found if entry and entry.is_file]


def _variables(repo: Repository, folder: str) -> dict[str, str]:
    return {
        "GIT_DIR": str(repo.git_dir),
        "GIT_WORK_TREE": folder,
        "GIT_ATTR_NOSYSTEM": "1",
        "XDG_CONFIG_HOME": folder,  # the user's own attributes file is not the project's
        "HOME": folder,
    }


def _require_no_filter(git: Git, path: str) -> None:
    said = git.run("check-attr", "-z", "filter", "--", path).stdout.split(b"\0")
    if len(said) > 2 and said[2] not in _ABSENT:
        raise FilteredPathError(f"{path} has the filter {said[2].decode(errors='replace')} (git attributes)")
