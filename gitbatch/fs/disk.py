"""Errors of the disk, told apart from what stands at a path.

An `OSError` has one of two causes. What stands at a path: a link, a file or a folder of the user's, where another kind
was expected; the code that meets it decides what follows. Or the disk (full, broken, read-only): then nothing that
depended on the call is done, the run ends with exit code 1, and the next start does it. Nothing takes the second for
the first, and neither is a bug.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitbatch.errors import GitbatchError, GitError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DISK = FULL | {errno.EIO, errno.EROFS, errno.ESTALE}
"""What only a disk says."""
_AT_THE_PATH = frozenset(
    {
        errno.ELOOP,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EEXIST,
        errno.ENOTEMPTY,
        errno.ENOENT,
        errno.ENXIO,  # a socket
        errno.ENODEV,  # a device without a driver
        errno.ENAMETOOLONG,
        errno.EILSEQ,
    }
)
"""What a link, a file, a folder or a special file causes, which stands where another kind was expected; or the name."""
_MISTAKES = frozenset({errno.EBADF, errno.EINVAL, errno.EFAULT, errno.EPIPE})
"""What only a mistake in the program causes."""
_ADVICE = {
    errno.ENOSPC: "free disk space",
    errno.EDQUOT: "free disk space, or ask for more of it",
    errno.EROFS: "make the file system writable",
    errno.EIO: "check the disk and its file system (see dmesg)",
    errno.EACCES: "give yourself the permission",
    errno.EPERM: "give yourself the permission",
    errno.EMFILE: "allow more open files (ulimit -n)",
}


class DiskError(GitbatchError):
    """The disk did not do what it was asked; the next start does what depended on it."""


def disk_error(error: Exception) -> DiskError | None:
    """The expected error that an exception is, if only a disk causes such: an `OSError`, or one that git reports."""
    if isinstance(error, DiskError):
        return error
    if isinstance(error, OSError) and is_of_disk(error):
        return expected_error(error)
    if isinstance(error, GitError):
        return _reported(error)
    return None


def _reported(error: GitError) -> DiskError | None:
    """The error of the disk that git reports, which need not be the last thing that it says."""
    for line in error.stderr.splitlines():
        for number in sorted(_DISK):
            if os.strerror(number) in line:
                said = GitError(error.argv, error.status, line)
                return DiskError(said.message, _advice(number))
    return None


def expected_error(error: OSError) -> DiskError | None:
    """What to tell the user about an error whose cause is outside of this program; None: it is a mistake in it."""
    if error.errno is None or error.errno in _MISTAKES:
        return None
    named = error.filename if isinstance(error.filename, str | bytes) else ""
    place = f": {os.fsdecode(named)}" if named else ""
    what = "the disk is full" if error.errno in FULL else error.strerror
    return DiskError(f"{what}{place}", _advice(error.errno))


def _advice(number: int) -> str:
    return f"{_ADVICE.get(number, 'remove the cause')}, then resume: gitbatch run (finished items are kept)"


def is_at_the_path(error: OSError) -> bool:
    """Whether what stands at the path caused an error, and not the disk; ours without a number are of that kind."""
    return error.errno is None or error.errno in _AT_THE_PATH


def is_of_disk(error: OSError) -> bool:
    """Whether an error is one that only a disk causes, whatever an agent has put where the path leads."""
    return error.errno in _DISK


@contextmanager
def naming(place: Path | str) -> Iterator[None]:
    """Name the place in an error whose call had only a descriptor, or a name relative to one."""
    try:
        yield
    except OSError as error:
        if not isinstance(error.filename, str) or not error.filename.startswith("/"):
            error.filename = os.fspath(place)
        raise


@contextmanager
def raising_only_of_disk() -> Iterator[None]:
    """Pass over an `OSError` that what stands at a path causes; what a disk keeps from being read is not absent."""
    try:
        yield
    except OSError as error:
        if is_of_disk(error):
            raise
