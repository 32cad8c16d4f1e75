"""Taking an agent's changes and its output from the upper layer of an overlay worktree, and from nothing else.

The orchestrator never mounts the overlay: it reads the upper folder as files, by descriptors and without following
links (`fs/layers.py`). The folder is opened by its path and compared with the one that was made, so another folder, or
a link, at its path is not read.

| in the upper layer | means |
|---|---|
| a regular file, a link, a FIFO, a socket, a device | written: also if only its mode was changed, or it was opened for writing |
| a whiteout | deleted |
| an opaque folder where the lower layers have something | replaced; what is in it is written |
| another folder | nothing: its mode is not looked at |
| the pointer `.git` as it was made | nothing |
| at the output's path: nothing | the base's version, unchanged |
| at the output's path: a whiteout, or an opaque folder above it | no output was written |
"""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from msgspec import Struct

from gitbatch.batch.workplace.protocol import Collected, OpenOutput, WorkplaceChanges
from gitbatch.fs.layers import EntryKind, LayerLookup, file_in_layers, find_in_layer, is_in_layers, walk_layer
from gitbatch.fs.nofollow import regular_file_in

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class UpperLayer(Struct, frozen=True):
    """The upper layer of an overlay worktree as it was made, before its agent started."""

    folder: Path
    lower: tuple[Path, ...]
    """The layers below it, the uppermost first. Agents cannot write them."""
    base: tuple[Path, ...]
    """Those of them that have the files of the commit: an output that only another one has was not written."""
    device: int
    inode: int
    pointer: bytes = b""
    """The content of the `.git` in it."""
    guarded: tuple[str, ...] = ()
    """Paths that the agent must leave as they are; one that the commit does not have is ignored."""


def note_upper(
    folder: Path,
    base: tuple[Path, ...],
    *,
    extra: tuple[Path, ...] = (),
    pointer: bytes = b"",
    guarded: tuple[str, ...] = (),
) -> UpperLayer:
    """Returns what is to be known of an upper layer before its agent starts.

    Args:
        folder: the layer.
        base: the layers with the files of the commit, the uppermost first.
        extra: the layers on top of those.
        pointer: the content of its `.git`.
        guarded: see `UpperLayer`.
    """
    status = folder.lstat()
    return UpperLayer(folder, (*extra, *base), base, status.st_dev, status.st_ino, pointer, guarded)


def collect_from_upper(upper: UpperLayer, output: str) -> Collected | None:
    """Lists the changes in an upper layer; None if it is gone, or another folder is at its path.

    Raises:
        OSError: the disk fails.
    """
    try:
        with _open_upper(upper) as top:
            changes = list_upper_changes(top, upper)
    except _ReplacedError:
        return None
    return Collected(changes, partial(_open_upper_output, upper, output))


def list_upper_changes(top: int, upper: UpperLayer) -> WorkplaceChanges:
    """Returns the changes in an upper layer that is open at a descriptor."""
    written, deleted, replaced = [], [], []
    for path, kind in walk_layer(top):
        if kind is EntryKind.WHITEOUT:
            deleted.append(path)
        elif kind is EntryKind.OPAQUE:
            if is_in_layers(upper.lower, path.rstrip("/")):
                replaced.append(path)
        elif path != ".git" or not _is_original_pointer(top, upper.pointer):
            written.append(path)
    missing = tuple(path for path in upper.guarded if _is_removed(top, upper.base, path))
    return WorkplaceChanges(tuple(written), missing, tuple(deleted), tuple(replaced))


def _is_removed(top: int, base: tuple[Path, ...], path: str) -> bool:
    """Whether a path of the commit is missing, or in a folder that was made unreadable."""
    try:
        seen = find_in_layer(top, path)
    except PermissionError:
        seen = LayerLookup.HIDDEN
    return seen in {LayerLookup.HIDDEN, LayerLookup.BLOCKED} and is_in_layers(base, path)


def _is_original_pointer(top: int, pointer: bytes) -> bool:
    try:
        with regular_file_in(top, ".git") as (descriptor, _), open(descriptor, "rb", closefd=False) as stream:
            return stream.read(len(pointer) + 1) == pointer
    except OSError:
        return False


@contextmanager
def _open_upper_output(upper: UpperLayer, output: str) -> Iterator[OpenOutput]:
    with _open_upper(upper) as top, file_in_layers((top, *upper.base), output) as (descriptor, status):
        yield OpenOutput(descriptor, status.st_size)


class _ReplacedError(OSError):
    """An upper layer is gone, or another folder or a link is at its path."""


@contextmanager
def _open_upper(upper: UpperLayer) -> Iterator[int]:
    try:
        top = _open_unreplaced(upper, _FOLDER)
    except PermissionError:  # its agent took the rights away; it is ours, so we can have them back
        _make_readable(upper)
        top = _open_unreplaced(upper, _FOLDER)
    try:
        yield top
    finally:
        os.close(top)


def _make_readable(upper: UpperLayer) -> None:
    named = _open_unreplaced(upper, os.O_PATH | _FOLDER)
    try:
        Path(f"/proc/self/fd/{named}").chmod(0o700)
    finally:
        os.close(named)


def _open_unreplaced(upper: UpperLayer, flags: int) -> int:
    """Opens the folder of an upper layer, unless it is gone, or another one."""
    try:
        top = os.open(upper.folder, flags)
    except (FileNotFoundError, NotADirectoryError) as error:  # a link is not a folder either
        raise _ReplacedError(error.errno, f"{upper.folder} is gone") from error
    status = os.fstat(top)
    if (status.st_dev, status.st_ino) != (upper.device, upper.inode):
        os.close(top)
        raise _ReplacedError(errno.ENOENT, f"{upper.folder} is not the folder that was made")
    return top
