"""Lock files that a killed run, or a git process of it, has left behind.

A lock may belong to a git process that is running. So one is removed only with proof that a dead process of ours made it.
That all of ours are dead is known from the repository's lock (`lock.py`: every git process of ours holds it). That ours
made the lock is known in one of three ways:

- A lock of a ref below `refs/gitbatch/` or `refs/heads/gitbatch/` is ours by its name.
- The lock of the index is a hard link to a file of ours (`checkout/follow.py`, `index_lock`).
- The locks that the user's git takes, too (their branch, HEAD, packed-refs), are marked: our git runs with a umask that
  takes away the owner's permission to write. No other program creates a lock file that its owner may not write.

A lock without that proof stays; a command that needs it reports it and ends with exit code 75.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gitbatch.fs.listing import list_folder

OURS = ("refs/gitbatch/", "refs/heads/gitbatch/")
"""Prefixes of the refs that only gitbatch writes."""

_OWNER_WRITES = stat.S_IWUSR
"""The permission that a marked lock file lacks."""

TEMPORARY = "gitbatch-"
"""Prefix of the temporary folders of a run in the repository's `gitbatch` folder."""


def lock_umask() -> int:
    """Returns the umask that marks lock files: this process's own, and the mark. Not safe while other threads create files."""
    usual = os.umask(0o077)
    os.umask(usual)
    return usual | _OWNER_WRITES


def is_marked(path: Path) -> bool:
    """Whether a file has the mark that git processes of ours leave by `lock_umask`."""
    with suppress(OSError):
        status = path.lstat()
        mine = status.st_uid == os.geteuid()
        return mine and stat.S_ISREG(status.st_mode) and not status.st_mode & _OWNER_WRITES
    return False


def clear_mark(path: Path) -> None:
    """Removes the mark from a file that was a marked lock and has been renamed into place."""
    if is_marked(path):
        path.chmod(stat.S_IMODE(path.stat().st_mode) | _OWNER_WRITES)


def reclaim_ref_locks(common_dir: Path, git_dir: Path) -> bool:
    """Removes the locks of refs that dead git processes of ours have left; call it when none is alive.

    Returns:
        Whether there were any.
    """
    left = [path for path in _list_ref_locks(common_dir, git_dir) if _is_ours(common_dir, path)]
    for path in left:
        path.unlink(missing_ok=True)
    clear_mark(common_dir / "packed-refs")
    return bool(left)


def reclaim_index(git_dir: Path, own_dir: Path) -> None:
    """Removes the locks and copies of the checkout's index that a dead run has left. Call it under the lock."""
    for path in (git_dir / "index.gitbatch", git_dir / "index.gitbatch.lock"):
        path.unlink(missing_ok=True)
    release_index(git_dir / "index.lock", own_dir / "index-lock")


def release_index(lock: Path, proof: Path) -> None:
    """Removes the lock of the index if it is ours, and afterwards the file that proves that."""
    if is_same_file(lock, proof):
        lock.unlink(missing_ok=True)
    proof.unlink(missing_ok=True)


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two paths exist and are hard links to the same file."""
    try:
        return os.path.samestat(one.lstat(), other.lstat())
    except FileNotFoundError:
        return False


def reclaim_folders(own_dir: Path) -> None:
    """Removes the temporary folders of a dead run. Call it under the lock."""
    for path in list_folder(own_dir):
        if not path.name.startswith(TEMPORARY):
            continue
        if path.is_symlink() or not path.is_dir():  # put there by an agent without a sandbox
            path.unlink()
        else:
            shutil.rmtree(path)


def blocking_locks(common_dir: Path, git_dir: Path, ref: str) -> tuple[Path, ...]:
    """Returns the existing lock files that keep git from writing a ref."""
    wanted = (common_dir / f"{ref}.lock", git_dir / "HEAD.lock", common_dir / "packed-refs.lock")
    return tuple(path for path in wanted if os.path.lexists(path))


def _list_ref_locks(common_dir: Path, git_dir: Path) -> Iterator[Path]:
    yield git_dir / "HEAD.lock"
    yield from (common_dir / "packed-refs.lock", common_dir / "packed-refs.new")
    for folder, _, names in os.walk(common_dir / "refs"):  # git may remove one that is empty meanwhile
        yield from (Path(folder, name) for name in names if name.endswith(".lock"))


def _is_ours(common_dir: Path, path: Path) -> bool:
    has_our_name = any(path.is_relative_to(common_dir / prefix) for prefix in OURS)
    return has_our_name or is_marked(path)
