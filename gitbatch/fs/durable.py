"""Replaces files atomically, and brings files to the disk.

A new content is written to a temporary file in the same folder, synced, and renamed over the old one. Until then the old
content is there, from then on the new one, and never a part of either; also after a power cut. The name of the temporary
file is derived from the file's, so what a killed process leaves is removed by the next try.
"""

import fcntl
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gitbatch.fs.disk import naming

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

_T = TypeVar("_T")
_AT_ONCE = 12
_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
"""Of macOS alone."""
_QUICK = 0.0002
"""Seconds; a sync that takes less is not worth another thread."""


def write_file(path: Path, content: bytes, mode: int | None = None) -> None:
    """Writes a file atomically and durably; its folder must exist.

    Args:
        path: the file.
        content: its new content.
        mode: its permissions; None: those of a new file by the umask.
    """
    with naming(path):
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with replacing(parent, path.name) as descriptor, open(descriptor, "wb", closefd=False) as stream:
                stream.write(content)
                if mode is not None:
                    os.fchmod(descriptor, mode)
        finally:
            os.close(parent)


@contextmanager
def replacing(parent: int, name: str) -> Iterator[int]:
    """Yields the descriptor of a new file, which replaces `name` in the folder behind `parent` if nothing is raised."""
    with replacing_all(parent, (name,)) as (descriptor,):
        yield descriptor


@contextmanager
def replacing_all(
    parent: int, names: Sequence[str], still: Callable[[str], bool] = lambda _: True
) -> Iterator[list[int]]:
    """Yields the descriptors of several new files in one folder: all contents are synced together, then the names.

    Args:
        parent: a descriptor of the folder.
        names: of the files.
        still: asked for each name when its content is on the disk; false: the file is not replaced.
    """
    written: list[int] = []
    try:
        for name in names:
            drop_remains(parent, name)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            written.append(os.open(_temporary_name(name), flags, 0o666, dir_fd=parent))
        yield written
        _sync_each(os.fsync, written)
        for name in names:
            if still(name):
                os.rename(_temporary_name(name), name, src_dir_fd=parent, dst_dir_fd=parent)
            else:
                drop_remains(parent, name)
        os.fsync(parent)
    except BaseException:
        for name in names:
            with suppress(OSError):  # what was raised says more; the next try removes what is left
                drop_remains(parent, name)
        raise
    finally:
        for descriptor in written:
            os.close(descriptor)


@contextmanager
def replacing_unsynced(parent: int, name: str, mode: int = 0o666) -> Iterator[int]:
    """Yields a descriptor like `replacing`, for a folder that an agent can write and that need not survive a power cut.

    Nothing is synced. The temporary name is random, so that an agent cannot put a file there before.
    """
    temporary = f".gitbatch-{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, mode, dir_fd=parent)
    try:
        yield descriptor
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=parent)
        raise
    finally:
        os.close(descriptor)


def drop_remains(parent: int, name: str) -> None:
    """Removes the temporary file that a killed `replacing` has left in a folder."""
    with suppress(FileNotFoundError):
        os.unlink(_temporary_name(name), dir_fd=parent)


def _temporary_name(name: str) -> str:
    return f".{name[:40]}.{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}.gitbatch"


def sync_file(path: Path | str) -> None:
    """Brings to the disk the content of a file that another program has written, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_contents(descriptors: Iterable[int]) -> None:
    """Brings the contents of files to the disk as surely as git does: on macOS also out of the cache of the disk."""
    _sync_each(_sync_fully, descriptors)


def _sync_fully(descriptor: int) -> None:
    if _FULL_SYNC is None:
        os.fsync(descriptor)
    else:
        fcntl.fcntl(descriptor, _FULL_SYNC)


def sync_all(paths: Iterable[Path | str]) -> None:
    """Brings folders (their names) and files to the disk; those that no longer exist are skipped."""
    _sync_each(_sync_if_there, paths)


def _sync_if_there(path: Path | str) -> None:
    with suppress(FileNotFoundError):
        sync_file(path)


def _sync_each(sync: Callable[[_T], None], things: Iterable[_T]) -> None:
    """Calls `sync` for each thing.

    As soon as the disk turns out to be slow, the rest is synced in parallel: that takes a quarter of the time.
    """
    waiting = list(things)
    while waiting:
        began = time.perf_counter()
        sync(waiting.pop())
        if time.perf_counter() - began > _QUICK:
            break
    for _ in _thread_pool().map(sync, waiting) if waiting else ():
        pass


@cache
def _thread_pool() -> "ThreadPoolExecutor":
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - slow to import, and only needed to write

    return ThreadPoolExecutor(_AT_ONCE, "sync")
