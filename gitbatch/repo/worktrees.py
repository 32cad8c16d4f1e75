"""The worktrees that agents work in: made by git, filled by git, removed by us.

Git runs in a worktree only before its agent starts. Afterwards the folder is an agent's, so it is removed as
files, together with its record below `.git/worktrees`, and never by a command that would look into it.
Worktrees are made one at a time: `git worktree add` loses a race against itself.
"""

import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gitbatch.repo.process import Git
from gitbatch.repo.refs import short
from gitbatch.repo.repository import Repository

ASSIGNED = "gitbatch-output"
"""In git's record of a worktree: the one path that may be committed there, for the pre-commit hook."""

_GLOB = re.compile(r"[*?[\\]")
_ESCAPED = r"\\\g<0>"


class CheckoutKind(StrEnum):
    """How much of the repository an item's worktree has."""

    FULL = "full"
    CONTEXT = "context"


@dataclass(frozen=True, slots=True)
class Worktree:
    """A worktree with its item branch checked out."""

    path: Path
    branch: str
    """Full ref name."""
    made: int
    """Change time (ns) that no file of the checkout has passed: what is newer than it, the agent touched."""
    guarded: tuple[str, ...] = ()
    """Files in it that the agent must leave as they are."""


def add_worktree(
    repo: Repository, *, path: Path, branch: str, base: str, output: str, sparse: tuple[str, ...] | None
) -> Worktree:
    """Make a worktree and its branch at `base`.

    Args:
        repo: the repository.
        path: where; its last part must be unique among the repository's worktrees.
        branch: the full name of a branch that does not exist yet.
        base: a commit.
        output: the path of the one file that the agent is to write.
        sparse: check out these paths only (a folder ends in a slash); None: everything.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    some = ("--no-checkout",) if sparse is not None else ()
    repo.git.run("worktree", "add", "--quiet", *some, "-b", short(branch), "--", str(path), base)
    record = _record_of(repo, path)
    (record / ASSIGNED).write_text(f"{output}\n", encoding="utf-8")
    if sparse is not None:
        _check_out_some(record, path, sparse)
    (path / output).parent.mkdir(parents=True, exist_ok=True)
    return Worktree(path, branch, _settle(path))


def _check_out_some(record: Path, path: Path, sparse: tuple[str, ...]) -> None:
    """Fill a worktree by a pattern file of its own; the repository's configuration stays as it is."""
    info = record / "info"
    info.mkdir(exist_ok=True)
    patterns = "".join(f"/{_GLOB.sub(_ESCAPED, name)}\n" for name in sparse)
    (info / "sparse-checkout").write_text(patterns, encoding="utf-8", errors="surrogateescape")
    settings = ("-c", "core.sparseCheckout=true", "-c", "core.sparseCheckoutCone=false")
    Git(path).run(*settings, "read-tree", "-mu", "HEAD")


def _record_of(repo: Repository, path: Path) -> Path:
    """The folder below `.git/worktrees` of a worktree whose agent has not started."""
    pointer = (path / ".git").read_text(encoding="utf-8", errors="surrogateescape")
    return repo.common_dir / "worktrees" / Path(pointer.removeprefix("gitdir: ").rstrip("\n")).name


def _settle(path: Path) -> int:
    """A time (ns) that no change of the checkout has passed, and every later one will.

    The clock of change times is coarser (up to 4 ms) than an agent can be quick: wait until it has moved on.
    """
    pointer = path / ".git"
    made = _touch(pointer)
    while _touch(pointer) == made:
        pass
    return made


def _touch(path: Path) -> int:
    path.chmod(0o644)
    return path.stat().st_ctime_ns


def remove_worktree(repo: Repository, path: Path) -> None:
    """Remove a worktree and git's record of it, whatever state it is in. Its branch is left alone."""
    remove_tree(path)
    for record in _records(repo, lambda place: place == path):
        remove_tree(record)
    with suppress(
        OSError
    ):  # as git does: the last one takes the folder along; another is still there otherwise
        (repo.common_dir / "worktrees").rmdir()


def worktrees_named(repo: Repository, prefix: str) -> tuple[Path, ...]:
    """The paths of all recorded worktrees whose folder's name starts with a prefix of ours, present or not."""
    return tuple(_place(record) for record in _records(repo, lambda place: place.name.startswith(prefix)))


def checked_out_elsewhere(repo: Repository, branch: str) -> Path | None:
    """The other worktree of the user's that has a branch (full name) checked out, if any."""
    listed = repo.git.run("worktree", "list", "--porcelain", "-z").stdout
    for entry in os.fsdecode(listed).split("\0\0"):
        lines = entry.split("\0")
        place = Path(lines[0].removeprefix("worktree "))
        if f"branch {branch}" in lines and place != repo.root:
            return place
    return None


def _records(repo: Repository, wanted: Callable[[Path], bool]) -> tuple[Path, ...]:
    """Git's records of the worktrees at wanted places."""
    found = (repo.common_dir / "worktrees").glob("*/gitdir")
    return tuple(pointer.parent for pointer in found if wanted(_place(pointer.parent)))


def _place(record: Path) -> Path:
    with suppress(OSError):
        return Path(
            (record / "gitdir").read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n")
        ).parent
    return Path()


def remove_tree(path: Path) -> None:
    """Remove a folder that an agent could write: no link is followed, no permission in it stops us."""
    if path.is_symlink() or not path.is_dir():
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        _unlock(path)
        shutil.rmtree(path)


def _unlock(path: Path) -> None:
    """Make every folder of a tree readable and writable for us; it has no writer any more."""
    folders = [path]
    while folders:
        folder = folders.pop()
        folder.chmod(0o700)
        with os.scandir(folder) as entries:
            folders += [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
