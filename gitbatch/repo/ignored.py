"""Lists the untracked paths of the user's checkout that git ignores and that match further patterns.

The ignore rules are those of the repository and its `.git/info`; the user's own (`core.excludesFile`) do not count, as in
`path_rules.py`.
"""

from collections.abc import Iterable, Iterator, Sequence

from gitbatch.paths import decode_path
from gitbatch.repo.path_rules import find_ignored
from gitbatch.repo.process import Git
from gitbatch.repo.repository import Repository

_LISTING = ("ls-files", "-z", "--others", "--ignored", "--directory")
_AT_ONCE = 500
"""The most paths on one command line."""


def split_patterns(text: str) -> tuple[str, ...]:
    """Returns the patterns in the text of a file like `.gitignore`."""
    lines = (line.rstrip("\r") for line in text.splitlines())
    return tuple(line for line in lines if line.strip() and not line.startswith("#"))


def list_ignored(repo: Repository, patterns: Sequence[str]) -> tuple[str, ...]:
    """Returns the ignored paths that match patterns of a `.gitignore`, sorted; a folder ends in a slash, and means all in it.

    Args:
        repo: has the checkout.
        patterns: the last one that matches a path decides.
    """
    if not patterns:
        return ()
    git = repo.git
    matching = _list_paths(git, *(f"--exclude={pattern}" for pattern in patterns))
    found = set(find_ignored(repo, None, matching)) if matching else set()
    # Git ignores only parts of these, for example all files of a folder whose own .gitignore says so.
    others = tuple(path for path in matching if path.endswith("/") and path not in found)
    for start in range(0, len(others), _AT_ONCE):
        found.update(_list_paths(git, "--exclude-standard", "--", *others[start : start + _AT_ONCE]))
    return _drop_inner(found)


def _list_paths(git: Git, *arguments: str) -> tuple[str, ...]:
    listed = git.run(*_LISTING, *arguments).stdout
    return tuple(decode_path(path) for path in listed.split(b"\0") if path)


def _drop_inner(paths: Iterable[str]) -> tuple[str, ...]:
    """Returns paths, sorted, without those in a folder that is one of them."""
    return tuple(_outer_paths(sorted(paths)))


def _outer_paths(ordered: Iterable[str]) -> Iterator[str]:
    folder = ""
    for path in ordered:
        if not folder or not path.startswith(folder):
            folder = path if path.endswith("/") else ""
            yield path
