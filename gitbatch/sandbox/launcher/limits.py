"""The limits that the kernel enforces on a process and its children, and the limit on the bytes that they write."""

# ruff: noqa: PTH112, PTH116, PTH208 - pathlib takes longer to import than the launcher to do its work

import errno
import os
import resource
import time
from contextlib import suppress

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_FOLDER = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""The folder was removed or replaced."""
_MOST_OPEN = 200
"""The most folders that are open at the same time; a tree that needs more was made to be uncountable."""


def set_limits(*, file_bytes: int, processes: int | None, cpu_seconds: int | None) -> None:
    """Sets the limits of this process; a lower limit that it has already is kept."""
    _lower_limit(resource.RLIMIT_CORE, 0)
    _lower_limit(resource.RLIMIT_FSIZE, file_bytes)
    if cpu_seconds is not None:
        _lower_limit(resource.RLIMIT_CPU, cpu_seconds)
    if processes is not None and os.getuid() != 0 and os.path.isdir("/proc"):  # root is not counted
        _lower_limit(resource.RLIMIT_NPROC, count_threads() + processes)


def _lower_limit(which: int, wanted: int) -> None:
    _, hard = resource.getrlimit(which)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(which, (limit, limit))


def count_threads() -> int:
    """Counts the processes and threads that the user runs: the kernel's limit applies to all of them."""
    user = os.getuid()
    count = 0
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with suppress(OSError):  # ended in the meantime
                if os.stat(f"/proc/{name}").st_uid == user:
                    count += len(os.listdir(f"/proc/{name}/task"))
    return count


class WrittenBytes:
    """The bytes that are written below some folders after this object was made."""

    def __init__(self, folders: list[str], limit: int) -> None:
        flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC  # here: macOS imports this module and has no O_PATH
        self._folders = [os.open(folder, flags) for folder in folders]  # a mount may hide its path later
        self._limit = limit
        self._since = time.time_ns()

    def is_exceeded(self) -> bool:
        """Whether they are more than the limit; a folder that cannot be read counts as more.

        A file that was deleted and is still open is not counted.
        """
        try:
            return self._count_bytes() > self._limit
        except OSError:
            return True

    def _count_bytes(self) -> int:
        """Counts the bytes; stops as soon as they are more than the limit.

        It walks by descriptors: a path that is too long for the kernel can be made step by step. Of the folders on the
        way only those stay open that have further folders to count, so depth alone costs nothing.
        """
        size = 0
        waiting: list[tuple[int, list[str]]] = []
        try:
            for folder in self._folders:
                waiting.append((os.open(".", _FOLDER, dir_fd=folder), []))
                size += self._count_folder(*waiting[-1])
                while waiting and size <= self._limit:
                    size += self._count_next_folder(waiting)
        finally:
            for descriptor, _ in waiting:
                os.close(descriptor)
        return size

    def _count_next_folder(self, waiting: list[tuple[int, list[str]]]) -> int:
        """Counts the new bytes in the next folder."""
        descriptor, names = waiting[-1]
        if not names:
            os.close(waiting.pop()[0])
            return 0
        name = names.pop()
        try:
            below = os.open(name, _FOLDER, dir_fd=descriptor)
        except OSError as error:
            if error.errno in _NO_FOLDER:
                return 0
            raise
        if not names:
            os.close(waiting.pop()[0])
        waiting.append((below, []))
        if len(waiting) > _MOST_OPEN:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return self._count_folder(*waiting[-1])

    def _count_folder(self, descriptor: int, names: list[str]) -> int:
        """Counts the new bytes of the files in a folder; adds the folders in it to `names`."""
        size = 0
        with os.scandir(descriptor) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    names.append(entry.name)
                else:
                    size += self._count_file(entry)
        return size

    def _count_file(self, entry: "os.DirEntry[str]") -> int:
        with suppress(FileNotFoundError):
            status = entry.stat(follow_symlinks=False)
            if status.st_ctime_ns > self._since:
                return status.st_blocks * 512
        return 0
