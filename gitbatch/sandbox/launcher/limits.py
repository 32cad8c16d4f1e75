"""The limits that the kernel keeps for a process and its children, and the disk that they may fill."""

# ruff: noqa: PTH112, PTH116, PTH208 - pathlib takes longer to import than the launcher to do its work

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
    if processes is not None and os.getuid() != 0 and os.path.isdir("/proc"):  # root is not counted
        _lower(resource.RLIMIT_NPROC, count_tasks() + processes)


def _lower(which: int, wanted: int) -> None:
    _, hard = resource.getrlimit(which)
    limit = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(which, (limit, limit))


def count_tasks() -> int:
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
    """What has been written below some folders from now on."""

    def __init__(self, folders: list[str], limit: int) -> None:
        self._folders = folders
        self._limit = limit
        self._since = time.time_ns()

    def too_much(self) -> bool:
        """Whether it is more than the limit now. A file that has been deleted and is still open is not seen."""
        size, waiting = 0, list(self._folders)
        while waiting and size <= self._limit:
            with suppress(OSError), os.scandir(waiting.pop()) as entries:  # gone, or closed to us
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        size += self._new(entry)
        return size > self._limit

    def _new(self, entry: "os.DirEntry[str]") -> int:
        with suppress(FileNotFoundError):
            status = entry.stat(follow_symlinks=False)
            if status.st_ctime_ns > self._since:
                return status.st_blocks * 512
        return 0
