"""Checks the free space on the disks that a run writes to.

The output of a program that found its disk full proves nothing: half a file may look like a whole one, and a missing
file like a failure of the program. So the run stops, and the attempt counts neither for nor against the item.

Git does not always say why it could not write ("unable to write file", "unable to stream"). Then a file is written as a
probe: it fails for the same reason.
"""

import os
import stat
import tempfile
from pathlib import Path

from gitbatch.errors import GitError
from gitbatch.fs.disk import DiskError, disk_error, is_of_disk, naming

_RESERVE = 64 * 1024
"""Bytes; a disk with less free space counts as full."""


class DiskFullError(DiskError):
    """A disk that the run writes to is full."""

    def __init__(self, folder: Path | str) -> None:
        super().__init__(
            f"the disk is full: {folder}",
            "free disk space, then resume: gitbatch run (finished items are kept)",
        )


def require_room(*folders: Path) -> None:
    """Raises an error if the disk of a path, which may not exist yet, is full.

    Raises:
        DiskFullError: the message names the folder.
    """
    for folder in folders:
        try:
            status = os.statvfs(folder)
        except (FileNotFoundError, NotADirectoryError):
            status = os.statvfs(_existing(folder))
        has_bytes = not status.f_blocks or status.f_bavail * status.f_frsize >= _RESERVE
        has_names = not status.f_files or status.f_favail > 0
        if not (has_bytes and has_names):  # 0 of 0: a file system that does not count them
            raise DiskFullError(folder)


def disk_error_at(error: Exception, *folders: Path) -> DiskError | None:
    """Returns the error of the disk that an exception is, or that kept git from writing below one of the folders.

    Args:
        error: an exception; of a `GitError` that names no cause, the disks of the folders are probed.
        folders: those that git was writing to; they need not exist.
    """
    found = disk_error(error)
    if found or not isinstance(error, GitError):
        return found
    try:
        require_room(*folders)
        for folder in folders:
            _probe_folder(_existing(folder))
    except (DiskError, OSError) as problem:
        return disk_error(problem)
    return None


def probe_file(descriptor: int) -> None:
    """Writes to a file that git failed to write, whose content is worthless; does nothing if it is not a regular file.

    Raises:
        OSError: of the disk, which is why git failed.
    """
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return
    try:
        os.lseek(descriptor, 0, os.SEEK_END)
        left = _RESERVE
        while left:
            left -= os.write(descriptor, bytes(left))
        os.fsync(descriptor)
    except OSError as error:
        if is_of_disk(error):
            raise


def _probe_folder(folder: Path) -> None:
    with naming(folder), tempfile.TemporaryFile(dir=folder) as file:
        probe_file(file.fileno())


def _existing(folder: Path) -> Path:
    return next(above for above in (folder, *folder.parents) if above.is_dir())
