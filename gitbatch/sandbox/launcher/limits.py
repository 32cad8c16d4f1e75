"""The limits that the kernel keeps for a process and its children, and the disk that they may fill."""

# ruff: noqa: PTH116, PTH208 - pathlib takes longer to import than the launcher to do its work

import os
import resource
import time
from contextlib import suppress


def set_limits(*, file_bytes: int, processes: int | None, cpu_seconds: int | None) -> None:
    """Set the limits of this process; what it has already is not raised."""
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, file_bytes)
    if cpu_seconds is not None:
        _lower(resource.RLIMIT_CPU, cpu_seconds)
    if processes is not None and os.getuid() != 0:  # root is not counted
        _lower(resource.RLIMIT_NPROC, _tasks() + processes)


def _lower(which: int, wanted: int) -> None:
    _, hard = resource.getrlimit(which)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(which, (limit, limit))


def _tasks() -> int:
    """The processes and threads that the user runs: the kernel's limit counts all of them."""
    user = os.getuid()
    count = 0
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with suppress(OSError):  # ended in the meantime
                if os.stat(f"/proc/{name}").st_uid == user:
                    count += len(os.listdir(f"/proc/{name}/task"))
    return count


class Written:
    """What has been written below some folders from now on. Walks them only when the disk has lost as much as that."""

    def __init__(self, folders: list[str], limit: int) -> None:
        self._folders = folders
        self._limit = limit
        self._since = time.time_ns()
        self._free = _free(folders[0])

    def too_much(self) -> bool:
        """Whether it is more than the limit. A file that has been deleted and is still open is not seen."""
        if self._free - _free(self._folders[0]) <= self._limit:
            return False
        return sum(self._size(folder) for folder in self._folders) > self._limit

    def _size(self, folder: str) -> int:
        size = 0
        for _, _, names, at in os.fwalk(folder):
            for name in names:
                with suppress(OSError):  # gone in the meantime
                    status = os.stat(name, dir_fd=at, follow_symlinks=False)
                    size += status.st_blocks * 512 if status.st_ctime_ns > self._since else 0
        return size


def _free(folder: str) -> int:
    disk = os.statvfs(folder)
    return disk.f_bfree * disk.f_frsize
