"""Lock files that a killed git, or a killed run, of ours has left behind, and how each is known to be ours.

To remove a lock blindly can rob a git that is at work. So it takes proof that a dead process of ours made it. That
all of ours are dead, the repository's lock says (`lock.py`: every git that we start holds it). That it was ours:

- A lock of a ref below `refs/gitbatch/` or `refs/heads/gitbatch/` is ours by its name.
- The lock of the index is a second name of a file of ours (`checkout.index_lock`).
- For what we share with the user's git (their branch, HEAD, packed-refs), our git runs with a umask that takes from
  whatever it makes the owner's right to write. No other program makes a lock file that its owner may not write.

A lock without that proof stays; who needs it says so and ends with exit code 75.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

OURS = ("refs/gitbatch/", "refs/heads/gitbatch/")
"""What the names of refs start with that no one else writes."""

_OWNER_WRITES = stat.S_IWUSR


TEMPORARY = "gitbatch-"
"""What the names of folders in our folder start with that a run makes for a moment."""


def lock_umask() -> int:
    """This process's umask and the signature. Not for use while other threads make files."""
    usual = os.umask(0o077)
    os.umask(usual)
    return usual | _OWNER_WRITES


def is_marked(path: Path) -> bool:
    """Whether a git of ours that signs has made a file."""
    with suppress(OSError):
        status = path.lstat()
        mine = status.st_uid == os.geteuid()
        return mine and stat.S_ISREG(status.st_mode) and not status.st_mode & _OWNER_WRITES
    return False


def clear_mark(path: Path) -> None:
    """Make a file that was a signed lock what git would have made it."""
    if is_marked(path):
        path.chmod(stat.S_IMODE(path.stat().st_mode) | _OWNER_WRITES)


def reclaim_ref_locks(common_dir: Path, git_dir: Path) -> bool:
    """Remove the locks of refs that a dead git of ours has left; call it when none is alive. Returns whether any."""
    left = [path for path in _ref_locks(common_dir, git_dir) if _is_ours(common_dir, path)]
    for path in left:
        path.unlink(missing_ok=True)
    clear_mark(common_dir / "packed-refs")
    return bool(left)


def reclaim_index(git_dir: Path, own_dir: Path) -> None:
    """Remove what a dead run has left of holding and rewriting the checkout's index. Call it under the lock."""
    for path in (git_dir / "index.gitbatch", git_dir / "index.gitbatch.lock"):
        path.unlink(missing_ok=True)
    release_index(git_dir / "index.lock", own_dir / "index-lock")


def release_index(lock: Path, mark: Path) -> None:
    """Remove the lock of the index, if it is ours, and only then the mark: the file of ours that proves it."""
    if is_same_file(lock, mark):
        lock.unlink(missing_ok=True)
    mark.unlink(missing_ok=True)


def is_same_file(lock: Path, mark: Path) -> bool:
    """Whether two names are there, and are names of the same file."""
    try:
        return os.path.samestat(lock.lstat(), mark.lstat())
    except FileNotFoundError:
        return False


def reclaim_folders(own_dir: Path) -> None:
    """Remove the temporary folders of a dead run. Call it under the lock."""
    for path in own_dir.glob(f"{TEMPORARY}*"):
        if path.is_symlink() or not path.is_dir():  # an agent without a sandbox has put it there
            path.unlink()
        else:
            shutil.rmtree(path)


def locks_in_the_way(common_dir: Path, git_dir: Path, ref: str) -> tuple[Path, ...]:
    """The locks that can keep a git of ours from writing a ref, and are there."""
    wanted = (common_dir / f"{ref}.lock", git_dir / "HEAD.lock", common_dir / "packed-refs.lock")
    return tuple(path for path in wanted if os.path.lexists(path))


def _ref_locks(common_dir: Path, git_dir: Path) -> Iterator[Path]:
    yield git_dir / "HEAD.lock"
    yield from (common_dir / "packed-refs.lock", common_dir / "packed-refs.new")
    yield from (common_dir / "refs").rglob("*.lock")


def _is_ours(common_dir: Path, path: Path) -> bool:
    by_name = any(path.is_relative_to(common_dir / prefix) for prefix in OURS)
    return by_name or is_marked(path)
