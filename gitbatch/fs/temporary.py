"""Folders that a process makes for itself and removes at its end, and those that a killed process has left.

A process holds a lock on its folder. The kernel releases it when the process ends, however that happens.
"""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gitbatch.fs.removal import remove_tree

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_YOUNG = 60.0
"""Seconds in which a new folder may have no lock yet."""


@contextmanager
def temporary_folder(above: Path, prefix: str) -> Iterator[Path]:
    """Makes a folder whose name begins with a prefix, and removes it at the end; before, what killed processes left.

    Raises:
        OSError: it cannot be made.
    """
    for path in find_abandoned(above, prefix):
        remove_tree(path)
    above.mkdir(parents=True, exist_ok=True)
    folder = above / f"{prefix}{secrets.token_hex(4)}"
    folder.mkdir(mode=0o700)
    descriptor = os.open(folder, _FOLDER)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield folder
    finally:
        remove_tree(folder)
        os.close(descriptor)


def find_abandoned(above: Path, prefix: str) -> tuple[Path, ...]:
    """Returns the folders with a prefix whose process has ended."""
    return tuple(sorted(path for path in above.glob(f"{prefix}*") if _is_abandoned(path)))


def _is_abandoned(path: Path) -> bool:
    with suppress(OSError):
        descriptor = os.open(path, _FOLDER)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.fstat(descriptor).st_mtime < time.time() - _YOUNG
        finally:
            os.close(descriptor)
    return False
