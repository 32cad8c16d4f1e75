"""Finds what was touched below a folder since a moment, by the times of changes. No link is followed.

The change time of a file or folder is set by the kernel whenever its content, its entries or its attributes change, and
cannot be set by a program. So what is not touched is as it was, unless the clock of the system went back in the meantime.
"""

import os
import secrets
import time
from contextlib import suppress
from mmap import mmap
from pathlib import Path

from msgspec import Struct

from gitbatch.fs.disk import raising_only_of_disk

_TOLERANCE = 2_000_000
"""Nanoseconds, less than a tick of the clock of change times."""


class ClockMark:
    """A moment, from which on the clock of the system may have been set back."""

    def __init__(self) -> None:
        self._lead = _read_lead()

    def went_back(self) -> bool:
        """Returns true if the clock was set back since then, by more than it was set forward: change times cannot be compared."""
        return _read_lead() < self._lead - _TOLERANCE


def _read_lead() -> int:
    """Returns how far the clock of the system is ahead of one that is never set, in nanoseconds."""
    return time.time_ns() - time.monotonic_ns()


class Touched(Struct, frozen=True):
    """Paths below a folder, relative to it."""

    files: tuple[str, ...]
    """Files, links and everything else that is not a folder."""
    folders: tuple[str, ...]
    """Folders, each before those in it; the empty path is the folder itself."""


def find_touched(root: Path, since: int) -> Touched:
    """Returns what was touched below a folder after a change time (ns).

    Raises:
        OSError: the disk fails.
    """
    files: list[str] = []
    folders: list[str] = []
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        with raising_only_of_disk():
            if (root / prefix).lstat().st_ctime_ns > since:
                folders.append(prefix.removesuffix("/"))
            with os.scandir(root / prefix) as entries:
                for entry in entries:
                    path = f"{prefix}{entry.name}"
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(f"{path}/")
                    elif entry.stat(follow_symlinks=False).st_ctime_ns > since:
                        files.append(path)
    return Touched(tuple(files), tuple(folders))


def shows_mapped_writes(folder: Path) -> bool:
    """Returns whether change times tell that a program has written a file which it has in its memory: those of a tmpfs do not."""
    path = folder / f"probe-{secrets.token_hex(4)}"
    with suppress(OSError), path.open("xb+", buffering=0) as file:
        try:
            file.write(b"\0")
            os.utime(file.fileno(), ns=(0, 0))
            with mmap(file.fileno(), 1) as memory:
                memory[0] += 1  # the page is read first: then a tmpfs does not notice that it is written
            return os.fstat(file.fileno()).st_mtime_ns != 0
        finally:
            path.unlink()
    return False
