"""The worktrees that agents work in: made by us as git makes them, filled by git, removed by us.

Git runs in a worktree only before its agent starts. Afterwards the folder is an agent's, so it is removed as
files, together with its record below `.git/worktrees`, and never by a command that would look into it.
A record comes and goes as a whole: at no moment does another git find a part of one.
By the record the user's git knows the worktree; its `.git` names another directory, in which the agent's git finds
what it may read (`agentgit.py`).
"""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from gitbatch.errors import GitError
from gitbatch.fs.removal import remove_anything, remove_tree
from gitbatch.fs.room import disk_error_at
from gitbatch.repo.private_dir import private_git
from gitbatch.repo.refs.lock_files import TEMPORARY
from gitbatch.repo.refs.names import short
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.agent_git import AgentGit, git_dir_of
from gitbatch.repo.worktrees.sparse import check_out

_EVERYTHING = ("-c", "core.sparseCheckout=false")
"""Whatever the user's own checkout leaves out, a full worktree has it."""


class Worktree(Struct, frozen=True):
    """A worktree with its item branch checked out."""

    path: Path
    branch: str
    """Full ref name."""
    made: int
    """Change time (ns) that no file of the checkout has passed: what is newer than it, the agent touched."""
    pointer: bytes = b""
    """What its `.git` says."""
    guarded: tuple[str, ...] = ()
    """Files in it that the agent must leave as they are."""


class NewWorktree(Struct, frozen=True):
    """A worktree that is to be made."""

    path: Path
    """Its last part must be unique among the repository's worktrees."""
    branch: str
    """The full name of a branch that does not exist yet."""
    base: str
    """The id of the commit that the branch starts at."""
    output: str
    """The path of the one file that the agent is to write."""
    sparse: tuple[str, ...] | None
    """Check out these paths only (a folder ends in a slash), where that can be done; None: everything."""


def add_worktree(repo: Repository, agents: AgentGit, new: NewWorktree) -> Worktree:
    """Make a worktree and its branch; `agents`: what git finds in it."""
    path = new.path
    path.parent.mkdir(parents=True, exist_ok=True)
    git_dir = agents.make(path, new.base, new.output)
    pointer = os.fsencode(f"gitdir: {git_dir}\n")
    if repo.refs.is_reftable:
        # HEAD is no file there that could be written by hand.
        options = ("--quiet", "--no-checkout", "-b", short(new.branch))
        repo.git.run(*_EVERYTHING, "worktree", "add", *options, "--", str(path), new.base)
        (path / ".git").write_bytes(pointer)
    else:
        path.mkdir()
        (path / ".git").write_bytes(pointer)
        with repo.refs.creating(new.branch, new.base):
            if new.sparse is not None:
                index = check_out(repo.objects, repo.objects.tree_of(new.base), new.sparse, path)
                (git_dir / "index").write_bytes(index)
        _put_record(repo, path, new.branch)
    if new.sparse is None or repo.refs.is_reftable:
        _fill(repo, path, git_dir / "index", new.base)
    (path / new.output).parent.mkdir(parents=True, exist_ok=True)
    return Worktree(path, new.branch, wait_for_ctime_tick(path), pointer)


def _fill(repo: Repository, path: Path, index: Path, base: str) -> None:
    """Check out every file of a commit, with the line ends that git gives them; no filter is run."""
    with private_git(repo, path, index=index) as git:
        try:
            git.run(*_EVERYTHING, "read-tree", "--reset", "-u", base)
        except GitError as error:
            if failed := disk_error_at(error, path):  # before the folder is removed, and has room again
                raise failed from error
            raise


def _put_record(repo: Repository, path: Path, branch: str) -> None:
    """Make git's record of a worktree, as `git worktree add` does, but all at once.

    While that git makes one, file by file, others fail (`git branch`, `git fsck`); if it is killed there, they do
    until somebody removes the record.
    """
    record = repo.common_dir / "worktrees" / path.name
    made = _temporary(repo)
    made.mkdir()
    for name, text in {"gitdir": str(path / ".git"), "commondir": "../..", "HEAD": f"ref: {branch}"}.items():
        (made / name).write_bytes(os.fsencode(f"{text}\n"))
    record.parent.mkdir(exist_ok=True)
    made.rename(record)


def _remove_record(repo: Repository, record: Path) -> None:
    """Remove git's record of a worktree, all at once: of a part of one, other gits say that it is broken."""
    gone = _temporary(repo)
    with suppress(FileNotFoundError):
        record.rename(gone)
        remove_anything(gone)


def _temporary(repo: Repository) -> Path:
    """Where a new folder beside the record goes, which the next start removes if we are killed here."""
    repo.own_dir.mkdir(exist_ok=True)
    return repo.own_dir / f"{TEMPORARY}{secrets.token_hex(4)}"


def wait_for_ctime_tick(path: Path) -> int:
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


def remove_worktree(repo: Repository, path: Path) -> bool:
    """Remove a worktree and git's record of it, whatever state it is in. Its branch is left alone.

    A further record of the same place, which no git makes, goes at the end of the batch.

    Returns:
        Whether its folder is gone (see `remove_tree`).
    """
    gone = all([remove_tree(path), remove_anything(git_dir_of(path))])
    usual = repo.common_dir / "worktrees" / path.name  # others are not looked at: there may be many
    for record in (usual,) if _place(usual) == path else _records(repo, lambda place: place == path):
        _remove_record(repo, record)
    with suppress(
        OSError
    ):  # as git does: the last one takes the folder along; another is still there otherwise
        (repo.common_dir / "worktrees").rmdir()
    return gone


def remove_records(repo: Repository, prefix: str) -> None:
    """Remove git's records whose own names start with a prefix of ours: one that a killed git began says no place."""
    for record in (repo.common_dir / "worktrees").glob(f"{prefix}*"):
        _remove_record(repo, record)
    with suppress(OSError):  # as above
        (repo.common_dir / "worktrees").rmdir()


def worktrees_named(repo: Repository, prefix: str) -> tuple[Path, ...]:
    """The paths of all recorded worktrees whose folder's name starts with a prefix of ours, present or not."""
    return tuple(_place(record) for record in _records(repo, lambda place: place.name.startswith(prefix)))


def checked_out(repo: Repository) -> dict[str, Path]:
    """Which branch (full name) is checked out where, over all worktrees of the repository."""
    if not (repo.common_dir / "worktrees").exists():  # there is one checkout, and it is ours
        branch = repo.head_branch()
        return {branch: repo.root} if branch else {}
    listed = os.fsdecode(repo.git.run("worktree", "list", "--porcelain", "-z").stdout)
    found: dict[str, Path] = {}
    for entry in listed.split("\0\0"):
        place, *lines = entry.split("\0")
        for line in lines:
            if line.startswith("branch "):
                found[line.removeprefix("branch ")] = Path(place.removeprefix("worktree "))
    return found


def recorded_places(common_dir: Path) -> tuple[Path, ...]:
    """Returns where git records the linked worktrees of a repository, present or not."""
    places = (_place(pointer.parent) for pointer in (common_dir / "worktrees").glob("*/gitdir"))
    return tuple(place for place in places if place != Path())


def checked_out_elsewhere(repo: Repository, branch: str) -> Path | None:
    """The other worktree that has a branch (full name) checked out, if any."""
    place = checked_out(repo).get(branch)
    return None if place == repo.root else place


def _records(repo: Repository, wanted: Callable[[Path], bool]) -> tuple[Path, ...]:
    """Git's records of the worktrees at wanted places."""
    found = (repo.common_dir / "worktrees").glob("*/gitdir")
    return tuple(pointer.parent for pointer in found if wanted(_place(pointer.parent)))


def _place(record: Path) -> Path:
    """Returns where a record says that its worktree is; a relative path starts at the record (git 2.48)."""
    with suppress(OSError):
        text = (record / "gitdir").read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n")
        place = Path(text).parent
        if not text:
            return Path()
        return place if place.is_absolute() else Path(os.path.realpath(record / place))
    return Path()
