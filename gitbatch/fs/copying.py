"""Copies files of the user's into a folder of ours as they are: contents, times, modes; links stay links.

No link is followed, also not one that is put there in the meantime, and no file of the copy shares its content with the
original: where the file system can, a copy is a reflink, never a hard link. Nothing that is called `.git` is copied.
"""

import errno
import fcntl
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from gitbatch.fs.nofollow import directory

FICLONE = 0x40049409
"""The request of `linux/fs.h`: another file gets the same content, and shares the blocks until one of them is written."""
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class SourceChangedError(OSError):
    """A file was written or replaced after it was listed."""


class SourceFile(NamedTuple):
    """A file, a link or a folder that is to be copied."""

    path: str
    mode: int
    size: int
    modified: int
    """Nanoseconds."""
    target: str = ""
    """Of a link."""

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return stat.S_ISDIR(self.mode)


def list_sources(root: Path, top: str, leave_out: Callable[[str], bool]) -> Iterator[SourceFile]:
    """Yields what is at a path below a folder: a folder before what is in it. Sockets, FIFOs and devices are left out.

    Args:
        root: the folder.
        top: the path; a slash at its end is ignored.
        leave_out: says of a path that it is not wanted, with all that is in it.

    Raises:
        OSError: it cannot be read.
    """
    top = top.rstrip("/")
    parent, _, name = top.rpartition("/")
    with directory(root, tuple(parent.split("/")) if parent else ()) as above:
        yield from _list_entry(above, name, top, leave_out)


def _list_entry(above: int, name: str, path: str, leave_out: Callable[[str], bool]) -> Iterator[SourceFile]:
    if name == ".git" or leave_out(path):
        return
    status = os.stat(name, dir_fd=above, follow_symlinks=False)
    kind = stat.S_IFMT(status.st_mode)
    if kind not in {stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR}:
        return
    target = os.readlink(name, dir_fd=above) if kind == stat.S_IFLNK else ""
    is_folder = kind == stat.S_IFDIR
    yield SourceFile(
        path,
        status.st_mode,
        0 if is_folder else status.st_size,
        0 if is_folder else status.st_mtime_ns,
        target,
    )
    if is_folder:
        with directory(above, (name,)) as folder:
            with os.scandir(folder) as entries:
                names = sorted(entry.name for entry in entries)
            for below in names:
                yield from _list_entry(folder, below, f"{path}/{below}", leave_out)


def copy_sources(root: Path, files: Iterable[SourceFile], target: Path, *, replace: bool = False) -> None:
    """Copies files that were listed below a folder to the same paths below another one.

    A file that is there already stays; with `replace`, the copy replaces it.

    Raises:
        SourceChangedError: one is not as it was listed.
        OSError: one cannot be read or written.
    """
    for folder, group in groupby(files, lambda file: file.path.rpartition("/")[0]):
        parts = tuple(folder.split("/")) if folder else ()
        with directory(root, parts) as source, directory(target, parts, create=True) as there:
            for file in group:
                if replace and not file.is_folder:
                    with suppress(FileNotFoundError, IsADirectoryError):
                        os.unlink(file.path.rpartition("/")[2], dir_fd=there)
                _copy_entry(source, there, file)


def _copy_entry(source: int, there: int, file: SourceFile) -> None:
    name = file.path.rpartition("/")[2]
    if file.is_folder:
        with suppress(FileExistsError):
            os.mkdir(name, dir_fd=there)
        os.chmod(name, stat.S_IMODE(file.mode) & 0o777 | 0o700, dir_fd=there)
        return
    with suppress(FileExistsError):
        if stat.S_ISLNK(file.mode):
            os.symlink(file.target, name, dir_fd=there)
        else:
            _copy_file(source, there, name, file)


def _copy_file(source: int, there: int, name: str, file: SourceFile) -> None:
    try:
        reading = os.open(name, _OPEN, dir_fd=source)
    except FileNotFoundError as error:
        raise SourceChangedError(error.errno, f"{file.path} was removed while it was copied") from error
    try:
        writing = os.open(name, _CREATE, 0o600, dir_fd=there)
        try:
            clone_or_copy(reading, writing)
            status = os.fstat(reading)
            if (status.st_mode, status.st_size, status.st_mtime_ns) != file[1:4]:
                raise SourceChangedError(errno.ESTALE, f"{file.path} was changed while it was copied")
            os.fchmod(writing, stat.S_IMODE(file.mode) & 0o777)
            os.utime(writing, ns=(file.modified, file.modified))
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def clone_or_copy(reading: int, writing: int) -> None:
    """Copies the content of a file into an empty one; as a reflink, where the file system has those."""
    if sys.platform == "linux":
        with suppress(OSError):
            fcntl.ioctl(writing, FICLONE, reading)
            return
    with open(reading, "rb", closefd=False) as source, open(writing, "wb", closefd=False) as target:
        shutil.copyfileobj(source, target, 1024 * 1024)
