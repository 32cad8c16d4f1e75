"""Removes folders that an agent could write, without following links."""

import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gitbatch.fs.disk import is_of_disk, naming

_REMOVALS = 5
"""How often the removal of a folder is tried into which a process still writes."""


_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_anything(path: Path) -> bool:
    """Removes a path where a folder of ours belongs; an agent may have put a file or a link there.

    Returns:
        Whether it is gone (see `remove_tree`).
    """
    if not _is_folder(path):
        path.unlink(missing_ok=True)
        return True
    return remove_tree(path)


def remove_tree(path: Path) -> bool:
    """Removes a folder that an agent could write, whatever its depth and permissions; no link is followed.

    Returns:
        Whether it is gone. If a process still writes into it, it may stay: then it is renamed.

    Raises:
        OSError: the disk fails.
    """
    for attempt in range(1, _REMOVALS + 1):
        if not _is_folder(path):
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
    """Removes a folder. Folders below its folders are moved up to its top, so that no path gets long.

    `shutil.rmtree` needs a stack and an open file for each level, and an agent makes thousands of those at no cost.
    """
    with _open_writable(path) as top:
        waiting = _clear_folder(top, top)
        while waiting:
            name = waiting.pop()
            if _is_removed_empty(name, top):
                continue
            with _open_writable(name, top) as folder:
                waiting += _clear_folder(folder, top)
            os.rmdir(name, dir_fd=top)
    path.rmdir()


def _clear_folder(folder: int, top: int) -> list[str]:
    """Deletes the files of a folder and moves its folders to the top; returns their names there."""
    moved = []
    with os.scandir(folder) as entries:
        listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in listed:
        if not is_folder:
            os.unlink(name, dir_fd=folder)
            continue
        if folder != top and _is_removed_empty(name, folder):
            continue
        moved.append(name if folder == top else f".{secrets.token_hex(8)}")
        if folder != top:
            with _open_writable(name, folder):  # it must be writable to be moved
                os.rename(name, moved[-1], src_dir_fd=folder, dst_dir_fd=top)
    return moved


def _is_removed_empty(name: str, parent: int) -> bool:
    """Removes a folder if it is empty, whatever its permissions; most folders are, and opening one costs ten calls."""
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError:
        return False
    return True


def _is_folder(path: Path) -> bool:
    """Whether a path is a folder; a link to one is not."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


@contextmanager
def _open_writable(path: Path | str, parent: int | None = None) -> Iterator[int]:
    """Yields a descriptor of a folder, after giving this process the permission to read and write it."""
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
