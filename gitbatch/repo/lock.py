"""One gitbatch at a time in a repository, and none before the gits of a killed one have ended.

Two locks, both the operating system's, so that they are gone when whoever holds them is:

- `lock` is held by the gitbatch process alone. Who finds it taken is told by whom (`holder`), and leaves.
- `children` is held by that process and by every git that it starts, which inherit it. When a run is killed, its
  gits may go on for a moment; who takes the lock next waits for them, so that nothing moves under its feet. Agents
  inherit neither.

Who holds both knows that no process of ours is alive here, and removes what dead ones have left locked (`stale.py`).
"""

import fcntl
import getpass
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from gitbatch.errors import BusyError, GitbatchError
from gitbatch.fs.nofollow import read_small
from gitbatch.repo.refs.lock_files import lock_umask, reclaim_folders, reclaim_index, reclaim_ref_locks
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text

_PATIENCE = 60.0
"""Seconds that the gits of a killed run are waited for."""
_SAID = 8192
"""Bytes of what the holder of the lock says of itself: a path may have 4,096."""
_SILENCE = 0.3
"""Seconds of waiting that nobody needs to be told of."""


@contextmanager
def repository_lock(repo: Repository, tell: Callable[[str], None]) -> Iterator[Repository]:
    """Hold the repository's locks; what is yielded is the repository to use while they are held.

    Args:
        repo: the repository.
        tell: is told what is waited for.

    Raises:
        BusyError: another gitbatch is at work, or a git of a killed one does not end.
        GitbatchError: the repository can't be written to.
    """
    holder = repo.own_dir / "holder"
    try:
        repo.own_dir.mkdir(exist_ok=True)
        lock = FileLock(repo.own_dir / "lock")
        lock.acquire(blocking=False)
    except Timeout as error:
        raise BusyError(
            f"another gitbatch is running in {_holder(holder) or repo.name}",
            "wait until it ends, or see how far it is: gitbatch status",
        ) from error
    except OSError as error:
        raise _unwritable(repo, error) from error
    try:
        with _children_lock(repo, tell) as descriptor:
            _write_holder(repo, holder)
            held = repo.with_lock(descriptor, lock_umask())
            try:
                yield held
            finally:
                held.close()
                with suppress(OSError):  # the lock says who holds it, and the next holder replaces the file
                    holder.unlink(missing_ok=True)
    finally:
        lock.release()


@contextmanager
def _children_lock(repo: Repository, tell: Callable[[str], None]) -> Iterator[int]:
    """Hold the lock that gits inherit, and tidy up after dead ones."""
    path = repo.own_dir / "children"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise _unwritable(repo, error) from error
    try:
        _wait_for_orphans(descriptor, path, tell)
        reclaim_ref_locks(repo.common_dir, repo.git_dir)
        reclaim_index(repo.git_dir, repo.own_dir)
        reclaim_folders(repo.own_dir)
        yield descriptor
    finally:
        os.close(descriptor)


def _wait_for_orphans(descriptor: int, path: Path, tell: Callable[[str], None]) -> None:
    began, told = time.monotonic(), False
    while not _try_lock(descriptor):
        waited = time.monotonic() - began
        if waited > _PATIENCE:
            raise BusyError(
                f"git processes that a killed run has left are still at work{_pids(path)}",
                "wait until they have ended, or end them; then gitbatch run goes on, nothing is lost",
            )
        if waited > _SILENCE and not told:
            tell(f"waiting for git processes that a killed run has left{_pids(path)}")
            told = True
        time.sleep(0.01)


def _try_lock(descriptor: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _pids(path: Path) -> str:
    """Which processes have a file open, where the system shows that."""
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with suppress(OSError):
            if link.samefile(path) and int(link.parts[2]) != os.getpid():
                found.add(int(link.parts[2]))
    return f" (process {', '.join(map(str, sorted(found)))})" if found else ""


def _write_holder(repo: Repository, holder: Path) -> None:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    who = f"process {os.getpid()} of {_user()} on {socket.gethostname()}, since {since}"
    text = f"{repo.root} ({who})"
    try:
        holder.unlink(missing_ok=True)
        with holder.open("xb") as file:  # not to the disk: after a power cut nobody holds the lock
            file.write(text.encode(errors="replace"))
    except OSError as error:
        raise _unwritable(repo, error) from error


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return f"user {os.geteuid()}"


def _unwritable(repo: Repository, error: OSError) -> GitbatchError:
    return GitbatchError(
        f"{repo.own_dir} can't be written: {error.strerror}",
        "make the repository's .git writable for you, and room on its disk",
    )


def _holder(path: Path) -> str:
    """The folder in which the holder of the lock runs, and its process; empty if that is unknown."""
    with suppress(OSError):
        return clean_text(read_small(path.parent, path.name, _SAID).decode(errors="replace"), _SAID)
    return ""
