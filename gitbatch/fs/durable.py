"""Files that are there after a power cut, whole: the one place that writes them.

A new content goes into a file beside the old one, to the disk, and then takes its place. Until then the old one is
there, from then on the new one, and never a part of either. What a kill leaves of the file beside it has a name that
the next try uses again, so it does not stay.
"""

import hashlib
import os
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
_QUICK = 0.0002
"""Seconds within which a disk has done what it was asked, so that other threads would take longer."""


def write_file(path: Path, content: bytes) -> None:
    """Write a file of ours; its folder must be there."""
    with naming(path):
        parent = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with replacing(parent, path.name) as descriptor, open(descriptor, "wb", closefd=False) as stream:
                stream.write(content)
        finally:
            os.close(parent)


@contextmanager
def replacing(parent: int, name: str) -> Iterator[int]:
    """A descriptor of a new file that takes the name `name` in the folder behind `parent`, if nothing is raised."""
    with replacing_all(parent, (name,)) as (descriptor,):
        yield descriptor


@contextmanager
def replacing_all(
    parent: int, names: Sequence[str], still: Callable[[str], bool] = lambda _: True
) -> Iterator[list[int]]:
    """The same for many names in one folder: all contents go to the disk at once, then the names do.

    `still`: asked for each name when its content is on the disk, whether it is to be taken.
    """
    written: list[int] = []
    try:
        for name in names:
            drop_remains(parent, name)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            written.append(os.open(_beside(name), flags, 0o666, dir_fd=parent))
        yield written
        _each(os.fsync, written)
        for name in names:
            if still(name):
                os.rename(_beside(name), name, src_dir_fd=parent, dst_dir_fd=parent)
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


def drop_remains(parent: int, name: str) -> None:
    """Remove what an earlier, killed `replacing` has left in a folder."""
    with suppress(FileNotFoundError):
        os.unlink(_beside(name), dir_fd=parent)


def _beside(name: str) -> str:
    return f".{name[:40]}.{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}.gitbatch"


def sync_file(path: Path | str) -> None:
    """Bring the content of a file that another program has written to the disk, or the names in a folder."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with naming(path):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_all(paths: Iterable[Path | str]) -> None:
    """Bring folders (their names) and files to the disk; what is gone by now has nothing to bring."""
    _each(_sync_if_there, paths)


def _sync_if_there(path: Path | str) -> None:
    with suppress(FileNotFoundError):
        sync_file(path)


def _each(sync: Callable[[_T], None], things: Iterable[_T]) -> None:
    """Bring each to the disk.

    As soon as the disk turns out to be slow, the rest goes at once: it does that in a quarter of the time that one
    after the other takes.
    """
    waiting = list(things)
    while waiting:
        began = time.perf_counter()
        sync(waiting.pop())
        if time.perf_counter() - began > _QUICK:
            break
    for _ in _pool().map(sync, waiting) if waiting else ():
        pass


@cache
def _pool() -> "ThreadPoolExecutor":
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - slow to import: only who writes needs it

    return ThreadPoolExecutor(_AT_ONCE, "sync")
