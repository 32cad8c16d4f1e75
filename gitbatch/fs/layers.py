"""Reads a folder that was the upper layer of an overlay, without following links and without mounting it.

The kernel keeps there what a program changed: a file that it wrote, a whiteout (a character device 0/0) for a path of
the lower layers that it deleted, and a folder with the attribute `opaque`, which hides the lower folder at its path.
(It also marks folders as opaque that are new.) A program could write the layer itself, or forge it where nothing
confines it. So a layer is walked by descriptors, and only its own bytes count: the attributes `metacopy` and
`redirect`, by which a file has the content of another one, are refused.
"""

import errno
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from enum import Enum, auto
from pathlib import Path
from typing import NamedTuple

from gitbatch.fs.disk import is_of_disk
from gitbatch.fs.nofollow import NotRegularError, directory, regular_file_in

Layer = Path | int
"""A layer's folder, or a descriptor of it."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAMESPACES = ("user.overlay.", "trusted.overlay.")
"""The attributes of the kernel; the second kind exists where an overlay was mounted without `userxattr`."""
OPAQUE_ATTRIBUTES = tuple(f"{space}opaque" for space in _NAMESPACES)
"""The names of the attribute by which a folder hides the lower one at its path."""
_OF_ANOTHER_FILE = ("metacopy", "redirect", "whiteout")
_MOST_OPEN = 200
"""The most folders that are open at the same time, as in `launcher/limits.py`."""
_LONGEST = 4095
"""The length of a path, in bytes, from which on the kernel takes it only step by step."""


class LayerLookup(Enum):
    """The result of looking a path up in a layer."""

    FOUND = auto()
    HIDDEN = auto()
    """It was deleted: the lower layers do not count."""
    BLOCKED = auto()
    """A file or a link is where a folder on the way to it was."""
    ABSENT = auto()
    """Nothing: the layers below decide."""


class EntryKind(Enum):
    """The effect of an entry of a layer on the lower layers."""

    FILE = auto()
    """A file, a link, or something else that is not a folder; it replaces what is below."""
    WHITEOUT = auto()
    OPAQUE = auto()
    """A folder that hides what is below; its entries follow."""


class LayerEntry(NamedTuple):
    """An entry of a layer. A folder that only has further entries is not one."""

    path: str
    kind: EntryKind


class _OpenFolder(NamedTuple):
    descriptor: int
    path: str
    """With a slash at its end; empty for the layer itself."""
    names: list[str]
    """The folders in it that were not walked yet."""


def find_in_layer(layer: Layer, path: str) -> LayerLookup:
    """Returns what a layer says about a path.

    Raises:
        OSError: the layer or a folder on the way cannot be opened.
    """
    *parents, name = path.split("/")
    unseen = LayerLookup.ABSENT
    with ExitStack() as opened:
        folder = opened.enter_context(directory(layer, ()))
        for part in parents:
            status = _stat_entry(folder, part)
            if status is None or is_whiteout(status):
                return LayerLookup.HIDDEN if status else unseen
            if not stat.S_ISDIR(status.st_mode):
                return LayerLookup.BLOCKED
            folder = opened.enter_context(directory(folder, (part,)))
            unseen = LayerLookup.HIDDEN if is_opaque(folder) else unseen
        status = _stat_entry(folder, name)
    if status is None:
        return unseen
    return LayerLookup.HIDDEN if is_whiteout(status) else LayerLookup.FOUND


def _stat_entry(folder: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def is_in_layers(layers: Sequence[Layer], path: str) -> bool:
    """Whether a stack of layers, the uppermost first, has something at a path."""
    found = next(
        (seen for layer in layers if (seen := find_in_layer(layer, path)) is not LayerLookup.ABSENT), None
    )
    return found is LayerLookup.FOUND


@contextmanager
def file_in_layers(layers: Sequence[Layer], path: str) -> Iterator[tuple[int, os.stat_result]]:
    """Yields a descriptor and the status of the regular file that a stack of layers, the uppermost first, has at a path.

    Raises:
        FileNotFoundError: no layer has it, or an upper one hides it.
        NotRegularError: it is not a regular file with one name, or an attribute gives it the content of another file.
        OSError: it cannot be opened.
    """
    for layer in layers:
        seen = find_in_layer(layer, path)
        if seen is LayerLookup.HIDDEN:
            break
        if seen is not LayerLookup.ABSENT:
            *parents, name = path.split("/")
            with directory(layer, tuple(parents)) as folder, regular_file_in(folder, name) as found:
                _require_own_content(found[0], name)
                yield found
            return
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)


def walk_layer(layer: Layer) -> Iterator[LayerEntry]:
    """Yields the entries of a layer. Of a tree that is too deep to be walked, the topmost folder that is too deep.

    Raises:
        OSError: the layer cannot be opened, or the disk fails.
    """
    waiting: list[_OpenFolder] = []
    try:
        with directory(layer, ()) as top:
            waiting.append(_OpenFolder(os.dup(top), "", []))
        yield from _list_folder(waiting[0])
        while waiting:
            if waiting[-1].names:
                yield from _enter_folder(waiting)
            else:
                os.close(waiting.pop().descriptor)
    finally:
        for folder in waiting:
            os.close(folder.descriptor)


def _enter_folder(waiting: list[_OpenFolder]) -> Iterator[LayerEntry]:
    """Opens the next folder of the last open one, and yields its entries."""
    above = waiting[-1]
    name = above.names.pop()
    path = f"{above.path}{name}/"
    try:
        if len(waiting) > _MOST_OPEN or len(os.fsencode(path)) > _LONGEST:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))  # noqa: TRY301 - as the kernel would
        below = _OpenFolder(os.open(name, _FOLDER, dir_fd=above.descriptor), path, [])
    except OSError as error:
        if is_of_disk(error) and not isinstance(error, PermissionError):
            raise
        yield LayerEntry(
            path, EntryKind.FILE
        )  # it was made unreadable, or too deep, or something else is there now
        return
    if not above.names:  # depth alone costs no descriptors
        os.close(waiting.pop().descriptor)
    waiting.append(below)
    if is_opaque(below.descriptor):
        yield LayerEntry(path, EntryKind.OPAQUE)
    yield from _list_folder(below)


def _list_folder(folder: _OpenFolder) -> Iterator[LayerEntry]:
    """Yields the entries of an open folder that are not folders, and adds those that are to its names."""
    with os.scandir(folder.descriptor) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                folder.names.append(entry.name)
            elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
                yield LayerEntry(f"{folder.path}{entry.name}", EntryKind.FILE)
            else:
                with suppress(FileNotFoundError):
                    is_gone = is_whiteout(entry.stat(follow_symlinks=False))
                    yield LayerEntry(
                        f"{folder.path}{entry.name}", EntryKind.WHITEOUT if is_gone else EntryKind.FILE
                    )


def is_whiteout(status: os.stat_result) -> bool:
    """Whether an entry says that a path of the lower layers was deleted."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def is_opaque(folder: int) -> bool:
    """Whether a folder, by its descriptor, hides the lower folder at its path."""
    return any(_read_attribute(folder, name) == b"y" for name in OPAQUE_ATTRIBUTES)


def _read_attribute(descriptor: int, name: str) -> bytes | None:
    if sys.platform != "linux":  # no overlays, and another call for attributes
        return None
    try:
        return os.getxattr(descriptor, name)
    except OSError:  # it has none, or the file system knows none
        return None


def _require_own_content(descriptor: int, name: str) -> None:
    """Refuses a file whose content an overlay would take from another file."""
    forged = (f"{space}{attribute}" for space in _NAMESPACES for attribute in _OF_ANOTHER_FILE)
    found = next((each for each in forged if _read_attribute(descriptor, each) is not None), None)
    if found:
        raise NotRegularError(f"{name} has the attribute {found}")
