"""The worktrees that agents work in: created as `git worktree add` does, checked out by git, and removed as files.

Git runs in a worktree only before its agent starts. Afterwards the agent may have written anything into the folder, so
it is removed together with its entry below `.git/worktrees`, and never by a git command, which would read it.
An entry is created and removed by a rename, so other git processes never see a part of one.
The user's git knows the worktree by the entry; its `.git` names another directory, with what the agent's git may read
(`agent_git.py`).
"""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from msgspec import Struct

from gitbatch.errors import GitError
from gitbatch.fs.removal import remove_anything, remove_tree
from gitbatch.fs.room import disk_error_at
from gitbatch.fs.whole import read_whole, write_new
from gitbatch.repo.private_dir import private_git
from gitbatch.repo.process import Git
from gitbatch.repo.refs.lock_files import TEMPORARY
from gitbatch.repo.refs.names import short
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.agent_git import AgentGit, git_dir_of
from gitbatch.repo.worktrees.sparse import check_out

_EVERYTHING = ("-c", "core.sparseCheckout=false")
"""A full worktree has all files, also if the user's own checkout is sparse."""
_LOCKED = "gitbatch works in it; gitbatch removes it"
"""Why git does not prune it: `git worktree list --verbose` shows this."""
_IN_EACH_ENTRY = {"commondir": "../..", "locked": _LOCKED}
"""The files of git's entry for a worktree that are the same in all of them."""
_TRIES = 20
"""To put an entry into the folder of entries, which git removes when it is empty."""


class Worktree(Struct, frozen=True):
    """A worktree with its item branch checked out."""

    path: Path
    branch: str
    """Its full ref name."""
    made: int
    """A change time (ns) that is not before that of any file of the checkout: newer files were touched by the agent."""
    pointer: bytes = b""
    """The content of its `.git`."""
    guarded: tuple[str, ...] = ()
    """Files in it that the agent must leave as they are."""


class NewWorktree(Struct, frozen=True):
    """The specification of a worktree."""

    path: Path
    """Its last part must be unique among the repository's worktrees."""
    branch: str
    """The full name of a branch that does not exist yet."""
    base: str
    """The id of the commit that the branch starts at."""
    output: str
    """The path of the one file that the agent is to write."""
    sparse: tuple[str, ...] | None
    """The only paths to check out, where that is possible (a folder ends in a slash); None: everything."""


CheckOut = Callable[[Path, Path, str], object]
"""Puts the files of a commit (the last argument) into a folder that has a `.git` at most, and writes their index (the second)."""


def add_worktree(
    repo: Repository, agents: AgentGit, new: NewWorktree, check_out_files: CheckOut | None = None
) -> Worktree:
    """Creates a worktree and its branch.

    Args:
        repo: the repository.
        agents: the source of its git directory.
        new: its specification.
        check_out_files: checks everything out; None: git does.
    """
    path = new.path
    path.parent.mkdir(parents=True, exist_ok=True)
    git_dir = agents.make(path, new.base, new.output)

    def fill_folder() -> None:
        if new.sparse is not None:
            index = check_out(repo.objects, repo.objects.tree_of(new.base), new.sparse, path)
            (git_dir / "index").write_bytes(index)

    pointer = put_empty_worktree(repo, git_dir, new, fill_folder)
    if new.sparse is None or repo.refs.is_reftable:
        check_out_now = check_out_files or partial(check_out_all, repo)
        check_out_now(path, git_dir / "index", new.base)
    (path / new.output).parent.mkdir(parents=True, exist_ok=True)
    return Worktree(path, new.branch, wait_for_ctime_tick(path), pointer)


def put_empty_worktree(
    repo: Repository, git_dir: Path, new: NewWorktree, fill: Callable[[], None] = lambda: None
) -> bytes:
    """Creates the folder of a worktree, its branch, and git's entry for it; returns the content of its `.git`.

    Args:
        repo: the repository.
        git_dir: the git directory that it names.
        new: its specification.
        fill: puts files in it while the branch is being created; not called with a reftable.
    """
    pointer = os.fsencode(f"gitdir: {git_dir}\n")
    if repo.refs.is_reftable:
        # With a reftable, HEAD is not a plain file that could be written here.
        options = ("--quiet", "--no-checkout", "--lock", "--reason", _LOCKED, "-b", short(new.branch))
        repo.git.run(*_EVERYTHING, "worktree", "add", *options, "--", str(new.path), new.base)
        (new.path / ".git").write_bytes(pointer)
        return pointer
    new.path.mkdir()
    write_new(f"{new.path}/.git", pointer)
    with repo.refs.creating(new.branch, new.base):
        fill()
        _put_entry(repo, new.path, new.branch)
    return pointer


def make_detached(
    repo: Repository, agents: AgentGit, path: Path, commit: str, base: str, paths: tuple[str, ...] | None
) -> None:
    """Creates a folder with files of a commit, whose git directory is private. The user's git does not know of it.

    Args:
        repo: the repository.
        agents: the source of git directories.
        path: the folder, which does not exist.
        commit: the commit, which HEAD in the folder is.
        base: the commit that the target branch is shown at.
        paths: the only paths to check out; None: everything.

    Raises:
        OSError: it cannot be written.
    """
    git_dir = agents.make(path, base, "", head=commit)
    path.mkdir()
    (path / ".git").write_bytes(os.fsencode(f"gitdir: {git_dir}\n"))
    if paths is None:
        check_out_all(repo, path, git_dir / "index", commit)
    else:
        (git_dir / "index").write_bytes(check_out(repo.objects, repo.objects.tree_of(commit), paths, path))


def check_out_all(
    repo: Repository, path: Path, index: Path, base: str, configure: Callable[[Git], Git] = lambda git: git
) -> None:
    """Checks out every file of a commit, with the line ends that git gives them; no filter is run.

    Args:
        repo: the repository.
        path: the folder of the files.
        index: the file of the new index.
        base: the commit.
        configure: returns the git that does it, with further settings.
    """
    with private_git(repo, path, index=index) as git:
        try:
            configure(git).run(*_EVERYTHING, "read-tree", "--reset", "-u", base)
        except GitError as error:
            if failed := disk_error_at(error, path):  # before the folder is removed, and has room again
                raise failed from error
            raise


def _put_entry(repo: Repository, path: Path, branch: str) -> None:
    """Creates git's entry for a worktree, as `git worktree add` does, but atomically.

    While git creates one, file by file, other commands fail (`git branch`, `git fsck`); if it is killed then, they
    fail until the entry is removed.
    """
    new = _temporary_folder(repo)
    os.mkdir(new)  # noqa: PTH102 - as all here, done for each item
    for name, text in {"gitdir": f"{path}/.git", "HEAD": f"ref: {branch}"}.items():
        write_new(f"{new}/{name}", os.fsencode(f"{text}\n"))
    for name, text in _IN_EACH_ENTRY.items():
        _put_shared_file(f"{repo.own_dir}/entry/{name}", f"{new}/{name}", f"{text}\n".encode())
    _move_entry(new, f"{repo.common_dir}/worktrees/{path.name}")


def _move_entry(new: str, entry: str) -> None:
    """Puts an entry below `.git/worktrees`, a folder that git, or a `git worktree prune` of the user, removes when it is empty."""
    for left in reversed(range(_TRIES)):
        try:
            os.rename(new, entry)  # noqa: PTH104
        except FileNotFoundError:
            if not left:
                raise
            Path(entry).parent.mkdir(exist_ok=True)
        else:
            return


def _put_shared_file(kept: str, new: str, content: bytes) -> None:
    """Creates a file as a further name of one that is kept with the same content, so that it takes no block of the disk.

    Git replaces or removes such a file, and never writes in it.
    """
    try:
        if not os.path.isfile(kept) or read_whole(kept) != content:  # noqa: PTH113 - a power cut may leave it empty
            made = Path(kept).with_name(f"{TEMPORARY}{secrets.token_hex(4)}")
            made.parent.mkdir(exist_ok=True)
            made.write_bytes(content)
            made.replace(kept)
        os.link(kept, new)
    except OSError:  # no hard links there, or too many
        write_new(new, content)


def _remove_entry(repo: Repository, entry: Path) -> None:
    """Removes git's entry for a worktree atomically: other git commands report a partial one as broken."""
    gone = Path(_temporary_folder(repo))
    with suppress(FileNotFoundError):
        entry.rename(gone)
        remove_anything(gone)


def _temporary_folder(repo: Repository) -> str:
    """Returns the path of a temporary folder for an entry, which the next start removes if this process is killed."""
    own = repo.own_dir
    if not own.is_dir():
        own.mkdir(exist_ok=True)
    return f"{own}/{TEMPORARY}{secrets.token_hex(4)}"


def wait_for_ctime_tick(path: Path) -> int:
    """Waits for the next tick of the clock of change times, and returns the time (ns) before it.

    The clock is coarse (up to 4 ms), and an agent could be faster: without the wait, one of its files could have the
    same change time as a file of the checkout.
    """
    pointer = path / ".git"
    made = _touch_file(pointer)
    while _touch_file(pointer) == made:
        pass
    return made


def _touch_file(path: Path) -> int:
    path.chmod(0o644)
    return path.stat().st_ctime_ns


def remove_worktree(repo: Repository, path: Path) -> bool:
    """Removes a worktree and git's entry for it, whatever its state. Its branch stays.

    A second entry of the same folder, which git never creates, is removed at the end of the batch.

    Returns:
        Whether its folder is gone (see `remove_tree`).
    """
    gone = all([remove_tree(path), remove_anything(git_dir_of(path))])
    usual = repo.common_dir / "worktrees" / path.name  # the others are not read: there may be many
    for entry in (
        (usual,) if _read_folder(usual) == path else _find_entries(repo, lambda folder: folder == path)
    ):
        _remove_entry(repo, entry)
    with suppress(OSError):  # as git does: with the last entry, the folder is removed
        (repo.common_dir / "worktrees").rmdir()
    return gone


def remove_worktree_entries(repo: Repository, prefix: str) -> None:
    """Removes git's entries whose own names start with a prefix of ours, and what they share; one that a killed git process began has no path."""
    for entry in _list_entries(repo.common_dir):
        if entry.name.startswith(prefix):
            _remove_entry(repo, entry)
    remove_anything(repo.own_dir / "entry")
    with suppress(OSError):  # as above
        (repo.common_dir / "worktrees").rmdir()


def worktrees_named(repo: Repository, prefix: str) -> tuple[Path, ...]:
    """Returns the paths of all recorded worktrees whose folder's name starts with a prefix of ours, existing or not."""
    return tuple(
        _read_folder(entry) for entry in _find_entries(repo, lambda folder: folder.name.startswith(prefix))
    )


def list_checked_out(repo: Repository) -> dict[str, Path]:
    """Returns the folder of each branch (full name) that is checked out in a worktree of the repository."""
    if not (repo.common_dir / "worktrees").exists():  # this is the only checkout
        branch = repo.head_branch()
        return {branch: repo.root} if branch else {}
    listed = os.fsdecode(repo.git.run("worktree", "list", "--porcelain", "-z").stdout)
    found: dict[str, Path] = {}
    for entry in listed.split("\0\0"):
        folder, *lines = entry.split("\0")
        for line in lines:
            if line.startswith("branch "):
                found[line.removeprefix("branch ")] = Path(folder.removeprefix("worktree "))
    return found


def linked_worktrees(common_dir: Path) -> tuple[Path, ...]:
    """Returns where git records the linked worktrees of a repository, present or not."""
    folders = map(_read_folder, _list_entries(common_dir))
    return tuple(folder for folder in folders if folder != Path())


def checked_out_elsewhere(repo: Repository, branch: str) -> Path | None:
    """Returns the other worktree that has a branch (full name) checked out; None: none has."""
    folder = list_checked_out(repo).get(branch)
    return None if folder == repo.root else folder


def _find_entries(repo: Repository, wanted: Callable[[Path], bool]) -> tuple[Path, ...]:
    """Returns git's entries for the worktrees whose folder is wanted."""
    return tuple(entry for entry in _list_entries(repo.common_dir) if wanted(_read_folder(entry)))


def _list_entries(common_dir: Path) -> tuple[Path, ...]:
    """Returns git's entries for worktrees; none if git removes their folder meanwhile, which it does with the last one."""
    with suppress(FileNotFoundError):
        return tuple((common_dir / "worktrees").iterdir())
    return ()


def _read_folder(entry: Path) -> Path:
    """Returns the worktree that an entry names; a relative path starts at the entry (git 2.48)."""
    with suppress(OSError):
        text = (entry / "gitdir").read_text(encoding="utf-8", errors="surrogateescape").rstrip("\n")
        folder = Path(text).parent
        if not text:
            return Path()
        return folder if folder.is_absolute() else Path(os.path.realpath(entry / folder))
    return Path()
