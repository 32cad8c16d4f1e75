"""What a repository's control files were when a run began: who changes them could make git run a program, or lie.

Compared before each commit point. Times and sizes first, then content: to touch a file is no change. Nor is what
people do while a run goes on, where it can redirect nothing: check out another branch (HEAD names another branch or
commit), let a branch track another (its section in `config`).
"""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gitbatch.errors import GitbatchError
from gitbatch.repo.repository import Repository

_FILES = ("HEAD", "config", "config.worktree", "shallow", "objects/info/alternates", "commondir", "gitdir")
_FOLDERS = ("hooks", "info")
_POINTERS = ("gitdir", "commondir", "config.worktree")

_ANY_BRANCH = re.compile(rb"(?:ref: refs/heads/[^\0-\x20\x7f]+|[0-9a-f]{40}|[0-9a-f]{64})\n")
_BRANCH_SECTION = re.compile(
    rb"""^\[branch\ "[^"\\\n]*"\]\n  (?:[ \t]+(?:remote|merge|rebase|description|vscode-merge-base)\ =\ [^"\\\n]*\n)*""",
    re.MULTILINE | re.VERBOSE,
)


class TamperedError(GitbatchError):
    """A control file of the repository is not what it was when the run began."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """One file: `stamp` changes whenever the file is written, `digest` only with its content."""

    stamp: tuple[int, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """The control files of a repository at a moment."""

    marks: tuple[tuple[Path, _Mark], ...]
    ours: str
    """What the names of the run's own worktrees start with: those come and go."""
    included: tuple[Path, ...]
    """Files that the configuration includes, wherever they are, whether they exist or not."""


def take_fingerprint(repo: Repository, ours: str) -> Fingerprint:
    """The fingerprint of a repository now. `ours`: what the names of the run's own worktrees start with."""
    included = _included(repo)
    files = _control_files(repo, ours, included)
    return Fingerprint(tuple((path, _Mark(_stamp(path), _digest(path))) for path in files), ours, included)


def require_untouched(repo: Repository, before: Fingerprint) -> None:
    """Stop if a control file has been changed, made or removed.

    Raises:
        TamperedError: the message names the files.
    """
    known = dict(before.marks)
    there = set(_control_files(repo, before.ours, before.included))
    changed = {path for path in there & known.keys() if not _is_same(path, known[path])}
    changed |= {path for path in known.keys() - there if not _is_removed_worktree(repo, path)}
    # A worktree that the user adds or removes meanwhile redirects nothing.
    changed |= {
        path for path in there - known.keys() if not path.is_relative_to(repo.common_dir / "worktrees")
    }
    if changed:
        names = ", ".join(sorted(os.path.relpath(path, repo.common_dir) for path in changed))
        raise TamperedError(
            f"while agents ran, {names} changed in {repo.common_dir}",
            "nothing was moved. Look at what has changed; if it was you, gitbatch run goes on",
        )


def _is_removed_worktree(repo: Repository, path: Path) -> bool:
    return path.is_relative_to(repo.common_dir / "worktrees") and not path.parent.exists()


def _is_same(path: Path, mark: _Mark) -> bool:
    return _stamp(path) == mark.stamp or _digest(path) == mark.digest


def _included(repo: Repository) -> tuple[Path, ...]:
    """The files that the repository's configuration names to be included, under whatever condition."""
    pattern = r"^include(if\..*)?\.path$"
    asked = ("config", "--includes", "--show-origin", "-z", "--get-regexp", pattern)
    said = os.fsdecode(repo.git.run(*asked, check=False).stdout).split("\0")
    found = []
    for origin, setting in zip(said[::2], said[1::2], strict=False):
        file = repo.root / origin.removeprefix("file:")
        found.append(file.parent / Path(setting.partition("\n")[2]).expanduser())
    return tuple(found)


def _control_files(repo: Repository, ours: str, included: tuple[Path, ...]) -> Iterator[Path]:
    yield from (path for path in included if os.path.lexists(path))
    for place in dict.fromkeys((repo.git_dir, repo.common_dir)):
        yield from (place / name for name in _FILES if os.path.lexists(place / name))
        for folder in _FOLDERS:
            yield from (
                path for path in _below(place / folder) if path != place / "info" / "refs"
            )  # made by git gc
    for record in _entries(repo.common_dir / "worktrees"):
        if not record.name.startswith(ours):
            yield from (record / name for name in _POINTERS if os.path.lexists(record / name))


def _below(folder: Path) -> Iterator[Path]:
    """Everything below a folder that is no folder; a folder that is a link counts as a file."""
    for path in _entries(folder):
        if path.is_dir() and not path.is_symlink():
            yield from _below(path)
        else:
            yield path


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        status = path.lstat()
    except OSError:
        return ()
    return (status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _digest(path: Path) -> str:
    """The content, with the mode: a hook that becomes executable has changed."""
    try:
        mode = path.lstat().st_mode
        content = (
            os.fsencode(path.readlink()) if path.is_symlink() else _telling(path.name, path.read_bytes())
        )
    except OSError as error:
        return f"unreadable: {error.errno}"
    return f"{mode:o} {hashlib.sha256(content).hexdigest()}"


def _telling(name: str, content: bytes) -> bytes:
    """The content of a control file without what may change."""
    if name == "HEAD" and _ANY_BRANCH.fullmatch(content):
        return b"a branch or a commit"
    if (
        name == "config" and b"\\\n" not in content
    ):  # a line that goes on could make a section part of a value
        return _BRANCH_SECTION.sub(b"", content)
    return content
