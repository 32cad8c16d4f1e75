"""Checks the free space on the disks that a run writes to.

The output of a program that found its disk full proves nothing: half a file may look like a whole one, and a missing
file like a failure of the program. So the run stops, and the attempt counts neither for nor against the item.
"""

import os
from pathlib import Path

from gitbatch.fs.disk import DiskError

_RESERVE = 64 * 1024
"""Bytes; a disk with less free space counts as full."""


class DiskFullError(DiskError):
    """A disk that the run writes to is full."""

    def __init__(self, place: Path | str) -> None:
        super().__init__(
            f"the disk is full: {place}",
            "free disk space, then resume: gitbatch run (finished items are kept)",
        )


def require_room(*places: Path) -> None:
    """Raises an error if the disk of a path, which may not exist yet, is full.

    Raises:
        DiskFullError: the message names the place.
    """
    for place in places:
        there = next(above for above in (place, *place.parents) if above.is_dir())
        status = os.statvfs(there)
        has_bytes = not status.f_blocks or status.f_bavail * status.f_frsize >= _RESERVE
        has_names = not status.f_files or status.f_favail > 0
        if not (has_bytes and has_names):  # 0 of 0: a file system that does not count them
            raise DiskFullError(place)
