"""Distinguishes errors of the disk from errors of a path.

An `OSError` has one of two causes. The path: a link, a file or a folder of the user's where another kind was expected;
the caller decides what follows. Or the disk (full, broken, read-only): then nothing that depends on the call is done, the
run ends with exit code 1, and the next start does it. The second is never taken for the first, and neither is a bug.
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gitbatch.errors import ErrorKind, GitbatchError, GitError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DISK = FULL | {errno.EIO, errno.EROFS, errno.ESTALE}
"""Errors that only a disk causes."""
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
"""Errors that a link, a file, a folder or a special file causes where another kind was expected; or the name."""
_MISTAKES = frozenset({errno.EBADF, errno.EINVAL, errno.EFAULT, errno.EPIPE})
"""Errors that only a bug in the program causes."""
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
    """An operation failed because of the disk; the next start does what depended on it."""

    kind = ErrorKind.DISK


def disk_error(error: Exception) -> DiskError | None:
    """Returns the error of the disk that an exception is: an `OSError`, or an error that git reports; None: another."""
    if isinstance(error, DiskError):
        return error
    if isinstance(error, OSError) and is_of_disk(error):
        return expected_error(error)
    if isinstance(error, GitError):
        return _find_reported(error)
    return None


def _find_reported(error: GitError) -> DiskError | None:
    """Returns the error of the disk that git reports, which may not be in its last line; None: it reports none."""
    for line in error.stderr.splitlines():
        for number in sorted(_DISK):
            if os.strerror(number) in line:
                reported = GitError(error.argv, error.status, line)
                return DiskError(reported.message, _advice_for(number))
    return None


def expected_error(error: OSError) -> DiskError | None:
    """Returns the error for the user whose cause is outside of this program; None: it is a bug."""
    if error.errno is None or error.errno in _MISTAKES:
        return None
    named = error.filename if isinstance(error.filename, str | bytes) else ""
    path = f": {os.fsdecode(named)}" if named else ""
    what = "the disk is full" if error.errno in FULL else error.strerror
    return DiskError(f"{what}{path}", _advice_for(error.errno))


def _advice_for(number: int) -> str:
    return f"{_ADVICE.get(number, 'remove the cause')}, then resume: gitbatch run (finished items are kept)"


def is_at_the_path(error: OSError) -> bool:
    """Whether the path caused an error, and not the disk; also true for our own, which have no number."""
    return error.errno is None or error.errno in _AT_THE_PATH


def is_of_disk(error: OSError) -> bool:
    """Whether only a disk causes such an error, whatever an agent has put at the path."""
    return error.errno in _DISK


@contextmanager
def naming(path: Path | str) -> Iterator[None]:
    """Puts a path into an error of a call that had only a descriptor, or a name relative to one."""
    try:
        yield
    except OSError as error:
        if not isinstance(error.filename, str) or not error.filename.startswith("/"):
            error.filename = os.fspath(path)
        raise


@contextmanager
def raising_only_of_disk() -> Iterator[None]:
    """Suppresses an `OSError` that the path causes; a file that the disk cannot read is not a missing one."""
    try:
        yield
    except OSError as error:
        if is_of_disk(error):
            raise
