"""Finds what was touched below a folder since a moment, by the times of changes. No link is followed.

The change time of a file or folder is set by the kernel whenever its content, its entries or its attributes change, and
cannot be set by a program. So what is not touched is as it was.
"""

import os
from pathlib import Path

from msgspec import Struct

from gitbatch.fs.disk import raising_only_of_disk


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
