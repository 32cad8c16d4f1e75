"""Allows one gitbatch at a time in a repository, and none before the git processes of a killed one have ended.

There are two locks. The operating system releases both when the processes that hold them end:

- `lock` is held by the gitbatch process alone. Another one reports who holds it (`holder.py`), and ends.
- `children` is held by that process and inherited by every git process that it starts from then on. When a run is
  killed, its git processes may still work for a moment; the next run waits for them, so that nothing changes during its
  start. Agents inherit neither lock.

A process that holds both knows that no other of ours is alive here, and removes the locks that dead ones have left
(`refs/lock_files.py`).
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from gitbatch.errors import BusyError, GitbatchError
from gitbatch.fs.holders import find_holders
from gitbatch.repo.holder import name_holder, read_holder
from gitbatch.repo.refs.lock_files import lock_umask, reclaim_folders, reclaim_index, reclaim_ref_locks
from gitbatch.repo.repository import Repository

_PATIENCE = 60.0
"""The most seconds to wait for the git processes of a killed run."""
_SILENCE = 0.3
"""Seconds of waiting that are not reported."""


@contextmanager
def repository_lock(
    repo: Repository, tell: Callable[[str], None], verb: str = "run", since: float | None = None
) -> Iterator[Repository]:
    """Holds the locks of a repository; yields the repository to use while they are held.

    Args:
        repo: the repository.
        tell: called with a notice before a longer wait.
        verb: the command that needs it, for those who find it held.
        since: when the run began, if it takes the locks again.

    Raises:
        BusyError: another gitbatch is running, or a git process of a killed one does not end.
        GitbatchError: the repository cannot be written.
    """
    try:
        repo.own_dir.mkdir(exist_ok=True)
        lock = FileLock(repo.own_dir / "lock")
        lock.acquire(blocking=False)
    except Timeout as error:
        raise BusyError(
            f"another gitbatch is running in {read_holder(repo.own_dir) or repo.name}",
            "wait until it ends, or see how far it is: gitbatch status",
        ) from error
    except OSError as error:
        raise _unwritable_error(repo, error) from error
    try:
        with _children_lock(repo, tell) as descriptor, _name_holder(repo, verb, since):
            held = repo.with_lock(descriptor, lock_umask())
            try:
                with held.with_spares():
                    yield held
            finally:
                held.close()
    finally:
        lock.release()


@contextmanager
def _children_lock(repo: Repository, tell: Callable[[str], None]) -> Iterator[int]:
    """Holds the lock that git processes inherit, and removes what dead ones have left; yields its descriptor."""
    path = repo.own_dir / "children"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as error:
        raise _unwritable_error(repo, error) from error
    try:
        _wait_for_orphans(descriptor, path, tell)
        reclaim_ref_locks(repo.common_dir, repo.git_dir)
        reclaim_index(repo.git_dir, repo.own_dir)
        reclaim_folders(repo.own_dir)
        yield descriptor
    finally:
        os.close(descriptor)


def _wait_for_orphans(descriptor: int, path: Path, tell: Callable[[str], None]) -> None:
    began, is_reported = time.monotonic(), False
    while not _try_lock(descriptor):
        waited = time.monotonic() - began
        if waited > _PATIENCE:
            raise BusyError(
                f"git processes of a killed run are still running{_list_pids(path)}",
                "wait until they have ended, or end them, then resume: gitbatch run (finished items are kept)",
            )
        if waited > _SILENCE and not is_reported:
            tell(f"waiting for git processes of a killed run{_list_pids(path)}")
            is_reported = True
        time.sleep(0.01)


def _try_lock(descriptor: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


def _list_pids(path: Path) -> str:
    """Returns the processes that have a file open, in brackets; empty if the system does not show them."""
    found = find_holders(path)
    return f" (process {', '.join(map(str, found))})" if found else ""


@contextmanager
def _name_holder(repo: Repository, verb: str, since: float | None) -> Iterator[None]:
    with ExitStack() as named:
        try:
            named.enter_context(name_holder(repo.own_dir, repo.root, verb, since))
        except OSError as error:
            raise _unwritable_error(repo, error) from error
        yield


def _unwritable_error(repo: Repository, error: OSError) -> GitbatchError:
    return GitbatchError(
        f"cannot write {repo.own_dir}: {error.strerror}",
        "make the repository's .git writable for you, and free disk space",
    )
