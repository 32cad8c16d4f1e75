"""Opens files below a directory without following links.

An agent may change a path while it is read: any component may have become a symlink, a FIFO or a device a moment ago.
So paths are walked one component at a time from a directory descriptor, and the check that a file is a regular one is
made on the open descriptor, not on the name.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class NotRegularError(OSError):
    """The path is not a regular file with one name: it is a link, a directory, a FIFO, or one of several hard links."""


def describe_open_error(error: OSError) -> str:
    """Returns why a file was not opened: for an error of the system, its words, or what they mean here."""
    if error.errno == errno.ELOOP:
        return "it is a symbolic link"
    if error.errno == errno.ENOTDIR:
        return "a folder on the way to it is a symbolic link, or not a folder"
    return error.strerror or str(error)


@contextmanager
def directory(root: Path | int, parts: tuple[str, ...], *, create: bool = False) -> Iterator[int]:
    """Yields a descriptor of the directory `parts` below `root`; with `create`, missing ones are created.

    `root` may be a descriptor, which stays open.

    Raises:
        OSError: a component is missing, a link, or not a directory.
    """
    current = os.open(".", _DIRECTORY, dir_fd=root) if isinstance(root, int) else os.open(root, _DIRECTORY)
    try:
        for part in parts:
            if create:
                _make_directory(part, current)
            below = os.open(part, _DIRECTORY, dir_fd=current)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


def _make_directory(name: str, parent: int) -> None:
    try:
        os.mkdir(name, dir_fd=parent)
    except FileExistsError:
        return


@contextmanager
def regular_file(root: Path, path: str) -> Iterator[tuple[int, os.stat_result]]:
    """Yields a read-only descriptor of the regular file `path` below `root`, and its status; it has exactly one name.

    Raises:
        NotRegularError: it is not a regular file, or has more than one link.
        OSError: it is missing, or a component of the path is a link.
    """
    *parents, name = path.split("/")
    with directory(root, tuple(parents)) as parent, regular_file_in(parent, name) as found:
        yield found


@contextmanager
def regular_file_in(parent: int, name: str) -> Iterator[tuple[int, os.stat_result]]:
    """Yields what `regular_file` does for a file in the folder behind a descriptor."""
    descriptor = os.open(name, _FILE, dir_fd=parent)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NotRegularError(f"{name} is not a regular file")
        if status.st_nlink != 1:
            raise NotRegularError(f"{name} has {status.st_nlink} names (hard links)")
        yield descriptor, status
    finally:
        os.close(descriptor)


def read_small(root: Path, path: str, limit: int) -> bytes:
    """Returns the content of a small regular file below `root`, at most `limit` bytes of it.

    Raises:
        OSError: as `regular_file`.
    """
    with regular_file(root, path) as (descriptor, _), open(descriptor, "rb", closefd=False) as stream:
        return stream.read(limit)
