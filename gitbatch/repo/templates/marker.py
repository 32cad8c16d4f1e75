"""The marker that makes a layer complete, and the size of its files.

The files themselves are not synced, because that would cost more than making them. So a marker names the boot of the
machine in which it was written: after another boot, the number and the sizes of the files are compared before use, which
finds what a power cut has lost.
"""

import os
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gitbatch.fs.durable import sync_file, write_file

FORMAT = 1
"""The version of the folders' form; layers of another version are not used."""
INDEX = "git/index"
"""The path of the index in the folder of a layer."""
_MARKER = "complete"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
BLOCK = 4096
"""The unit in which most file systems store a file."""


class LayerMarker(Struct, frozen=True):
    """The content of a layer, as it was when it was complete."""

    version: int
    purpose: str
    """What it is for, in a word: `template`, `delta`, `include`, …"""
    key: str
    """What it holds: the id of a tree, or whatever its maker compares."""
    files: int
    """The number of files, links and whiteouts in it, with the index."""
    size: int
    """The sum of their sizes in bytes, with the index."""
    disk: int
    """About the bytes that they take on the disk."""
    below: tuple[str, ...] = ()
    """The names of the layers below it, the uppermost first."""
    missing: tuple[str, ...] = ()
    """What the user's repository did not have; see `real_files.py`."""
    boot: str = ""
    """The boot of the machine in which its files were last known to be there."""
    until_restart: bool = False
    """Whether it is lost at a restart of the machine: nothing of it was synced."""


class FilesSize(NamedTuple):
    """The number of files, the sum of their sizes in bytes, and about the bytes that they take on the disk."""

    files: int
    size: int
    disk: int


class LayerInfo(Struct, frozen=True):
    """The statement of the maker of a layer about it."""

    purpose: str
    key: str
    below: tuple[str, ...] = ()
    size: FilesSize | None = None
    """That of the files below `tree/`; None: it has to be measured, which takes a while for many files."""
    missing: tuple[str, ...] = ()
    until_restart: bool = False
    """Whether it is made again after a restart of the machine, so that nothing has to be synced."""


def measure_files(*folders: Path) -> FilesSize:
    """Returns the size of what is below folders, without folders; no link is followed."""
    files = size = blocks = 0
    waiting = [os.fspath(folder) for folder in folders]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    length = entry.stat(follow_symlinks=False).st_size
                    files += 1
                    size += length
                    blocks += -(-length // BLOCK)
    return FilesSize(files, size, blocks * BLOCK)


@cache
def boot_id() -> str:
    """Returns the id of this boot of the machine; where the system has none, the time of it to the minute."""
    with suppress(OSError):
        return _BOOT_ID.read_text(encoding="utf-8").strip()
    return str(round((time.time() - time.monotonic()) / 60))


def read_marker(folder: Path) -> LayerMarker | None:
    """Returns the marker of a layer; None: it is incomplete, or of another version."""
    with suppress(OSError, msgspec.DecodeError):
        marker = msgspec.json.decode((folder / _MARKER).read_bytes(), type=LayerMarker)
        return marker if marker.version == FORMAT else None
    return None


def stamp_marker(folder: Path) -> tuple[int, ...]:
    """Returns a value that changes when a layer is made again; empty: it is incomplete, or gone."""
    try:
        status = os.stat(f"{folder}/{_MARKER}")  # noqa: PTH116 - asked for each layer of each worktree
    except OSError:
        return ()
    return (status.st_ino, status.st_mtime_ns, status.st_size)


def write_marker(folder: Path, info: LayerInfo) -> LayerMarker:
    """Makes a layer complete, durably unless it is wanted until a restart of the machine only."""
    if not info.until_restart:
        with suppress(FileNotFoundError):
            sync_file(folder / INDEX)
    found = (
        _add_sizes(info.size, measure_files((folder / INDEX).parent)) if info.size else _measure_layer(folder)
    )
    marker = LayerMarker(
        version=FORMAT,
        purpose=info.purpose,
        key=info.key,
        files=found.files,
        size=found.size,
        disk=found.disk,
        below=info.below,
        missing=info.missing,
        boot=boot_id(),
        until_restart=info.until_restart,
    )
    content = msgspec.json.encode(marker)
    if info.until_restart:
        (folder / _MARKER).write_bytes(content)
    else:
        write_file(folder / _MARKER, content)
    return marker


def _add_sizes(tree: FilesSize, git: FilesSize) -> FilesSize:
    return FilesSize(tree.files + git.files, tree.size + git.size, tree.disk + git.disk)


def _measure_layer(folder: Path) -> FilesSize:
    return measure_files(folder / "tree", (folder / INDEX).parent)


def check_files(folder: Path, marker: LayerMarker) -> LayerMarker | None:
    """Returns the marker of a layer for this boot; None: it has lost files since another boot, or may have."""
    if marker.until_restart:
        return None
    with suppress(OSError):
        if _measure_layer(folder) == (marker.files, marker.size, marker.disk):
            known = replace(marker, boot=boot_id())
            write_file(folder / _MARKER, msgspec.json.encode(known))
            return known
    return None
