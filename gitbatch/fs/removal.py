"""Removing folders that an agent may have filled with anything, without following a link."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gitbatch.fs.disk import is_of_disk, naming

_REMOVALS = 5
"""Tries to remove a folder into which something still writes."""


_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_anything(path: Path) -> bool:
    """Remove what an agent may have put where a folder of ours belongs: a folder, a file, a link.

    Returns:
        Whether it is gone (see `remove_tree`).
    """
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return True
    return remove_tree(path)


def remove_tree(path: Path) -> bool:
    """Remove a folder that an agent could write: no link is followed, no permission and no depth in it stops us.

    Returns:
        Whether it is gone. A process that still writes into it can keep it: then it is moved out of the way.

    Raises:
        OSError: the disk keeps it.
    """
    for attempt in range(1, _REMOVALS + 1):
        if path.is_symlink() or not path.is_dir():
            return True
        try:
            with naming(path):
                _take_apart(path)
        except OSError as error:
            if is_of_disk(error) and attempt == _REMOVALS:
                raise
        else:
            return True
        time.sleep(0.05 * attempt)
    with suppress(OSError):
        path.rename(path.with_name(f".busy-{secrets.token_hex(4)}"))
    return False


def _take_apart(path: Path) -> None:
    """Remove a folder. What is below its folders is moved up beside them, so that no path gets long.

    `shutil.rmtree` needs a stack and an open file for each level, and an agent makes thousands of those at no cost.
    """
    with _unlocked(path) as top:
        waiting = _clear_folder(top, top)
        while waiting:
            name = waiting.pop()
            with _unlocked(name, top) as folder:
                waiting += _clear_folder(folder, top)
            os.rmdir(name, dir_fd=top)
    path.rmdir()


def _clear_folder(folder: int, top: int) -> list[str]:
    """Delete the files of a folder and move its folders up; returns what those are called there."""
    moved = []
    with os.scandir(folder) as entries:
        listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in listed:
        if not is_folder:
            os.unlink(name, dir_fd=folder)
            continue
        moved.append(name if folder == top else f".{secrets.token_hex(8)}")
        if folder != top:
            with _unlocked(name, folder):  # or it can't be moved
                os.rename(name, moved[-1], src_dir_fd=folder, dst_dir_fd=top)
    return moved


@contextmanager
def _unlocked(path: Path | str, parent: int | None = None) -> Iterator[int]:
    """A descriptor of a folder that is made readable and writable for us."""
    try:
        descriptor = os.open(path, _FOLDER, dir_fd=parent)
    except PermissionError:
        os.chmod(path, 0o700, dir_fd=parent)  # by descriptor
        descriptor = os.open(path, _FOLDER, dir_fd=parent)
    try:
        os.fchmod(descriptor, 0o700)
        yield descriptor
    finally:
        os.close(descriptor)
