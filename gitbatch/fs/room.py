"""Room on the disks that a run writes to.

What a program leaves that found its disk full proves nothing: half a file may look like a whole one, and no file like
a failure of the program. So a run stops there, and says so, and does not count it for or against the item.
"""

import os
from pathlib import Path

from gitbatch.fs.disk import DiskError

_RESERVE = 64 * 1024
"""Bytes; with less than that left, a disk counts as full."""


class DiskFullError(DiskError):
    """There is no room where we write."""

    def __init__(self, place: Path | str) -> None:
        super().__init__(
            f"the disk is full: {place}",
            "make room; then gitbatch run goes on, and nothing that is done is lost",
        )


def require_room(*places: Path) -> None:
    """Stop if the disk of a place, which need not be there yet, is full.

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
