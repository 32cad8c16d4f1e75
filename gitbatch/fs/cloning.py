"""Clones folders of ours: files that share the blocks of the originals until one of them is written (reflinks).

Linux has them on btrfs, XFS and bcachefs (`FICLONE`), macOS on APFS (`clonefile`). A clone costs time for each file, but
no room on the disk. Only for folders that no agent can write: names are not opened step by step.
"""

import ctypes
import errno
import fcntl
import os
import secrets
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from gitbatch.fs.copying import FICLONE

_NOT_HERE = {
    errno.EOPNOTSUPP: "the file system has no reflinks",
    errno.ENOTSUP: "the file system has no reflinks",
    errno.ENOTTY: "the file system has no reflinks",
    errno.EINVAL: "the file system has no reflinks",
    errno.EXDEV: "the cache folder and the worktrees are on different file systems",
    errno.ENOSYS: "the system has no reflinks",
}


def find_clone_problem(source: Path, target: Path) -> str:
    """Returns why files of one folder cannot be cloned into another one, which both exist; empty if they can."""
    name = f".clone-{secrets.token_hex(4)}"
    try:
        (source / name).write_bytes(b"x" * 4096)
        clone_file(os.fspath(source / name), os.fspath(target / f"{name}-2"))
    except OSError as error:
        return _NOT_HERE.get(error.errno or 0, error.strerror or str(error))
    finally:
        for path in (source / name, target / f"{name}-2"):
            with suppress(OSError):
                path.unlink()
    return ""


def clone_tree(source: Path, target: Path) -> None:
    """Clones the files, links and folders below a folder into another one, which may have folders of them alone.

    Raises:
        OSError: a file cannot be cloned, for example because the file system has no reflinks.
    """
    waiting = [(os.fspath(source), os.fspath(target))]
    while waiting:
        folder, clone = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                path = f"{clone}/{entry.name}"
                if entry.is_symlink():
                    os.symlink(os.readlink(entry.path), path)  # noqa: PTH115, PTH211 - thousands of strings
                elif entry.is_dir(follow_symlinks=False):
                    with suppress(FileExistsError):
                        os.mkdir(path)  # noqa: PTH102 - as above
                    waiting.append((entry.path, path))
                elif entry.is_file(follow_symlinks=False):
                    clone_file(entry.path, path)


def clone_file(source: str, target: str) -> None:
    """Clones a file to a new path, with its permissions.

    Raises:
        OSError: it cannot be cloned, or the path exists.
    """
    _cloning_call()(source, target)


@cache
def _cloning_call() -> Callable[[str, str], None]:
    return _clone_on_mac if sys.platform == "darwin" else _clone_on_linux


def _clone_on_linux(source: str, target: str) -> None:
    reading = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        mode = stat.S_IMODE(os.fstat(reading).st_mode)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        writing = os.open(target, flags, mode)
        try:
            fcntl.ioctl(writing, FICLONE, reading)
            os.fchmod(writing, mode)
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _clone_on_mac(source: str, target: str) -> None:
    """Calls clonefile(2), which copies times and permissions too."""
    call = ctypes.CDLL(None, use_errno=True).clonefile
    if call(os.fsencode(source), os.fsencode(target), ctypes.c_uint32(1)):  # CLONE_NOFOLLOW
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)
