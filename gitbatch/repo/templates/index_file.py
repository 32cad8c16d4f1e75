"""The index of a template, and that of a later base, which is made from it without git.

git would read and write an entry for every file. Here, the entries of the few files that differ are put into a copy of the
bytes of the old index, found by a table of offsets that was made with the template. Only an index of version 2 in one
file is read (gitformat-index(5)), as `plain_index` makes git write it.
"""

import hashlib
import mmap
import os
import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from msgspec import Struct

from gitbatch.paths import encode_path
from gitbatch.repo.index_bytes import (
    HEADER,
    NewIndexEntry,
    UnreadableIndexError,
    invalidate_trees,
    render_entry,
    render_status,
    write_index,
)
from gitbatch.repo.templates.marker import BLOCK, FilesSize

_STEP = 64
"""An offset is kept for each 64th entry."""
_STAT_BYTES = 40
_MODE_AND_SIZE = struct.Struct(">I8xI")
_MODE_AT = 24
_SUBMODULE = 0o160000
_NUL = b"\0"
_MOST_PARTS = 10_000


class IndexChange(NamedTuple):
    """A path whose entry in the index changes."""

    path: str
    entry: NewIndexEntry | None
    """None: the path is not in the index any more."""


def write_offsets(index: Path, table: Path, id_bytes: int) -> FilesSize | None:
    """Writes the table of offsets of an index. Returns the size of its files; None: submodules are among them.

    The size is that in the index, which is of 32 bits: of a larger file, it is another one.
    """
    size = blocks = submodules = 0
    with _open_bytes(index) as data:
        count = _read_count(data)
        offsets, at = array("Q"), HEADER.size
        fixed = _STAT_BYTES + id_bytes + 2
        find, read_status = data.find, _MODE_AND_SIZE.unpack_from
        for number in range(count):
            if number % _STEP == 0:
                offsets.append(at)
            mode, written = read_status(data, at + _MODE_AT)
            submodules += mode == _SUBMODULE
            size += written
            blocks -= -written // BLOCK
            length = find(_NUL, at + fixed) - at
            at += length + 8 - length % 8
        offsets.append(at)
        table.write_bytes(offsets.tobytes())
    return None if submodules else FilesSize(count, size, blocks * BLOCK)


def splice_index(index: Path, table: Path, made: Path, changes: Iterable[IndexChange], id_bytes: int) -> None:
    """Writes the index that has the entries of an old one, with changes.

    Args:
        index: the old one.
        table: its table of offsets.
        made: the file of the new one.
        changes: by path; entries of all other paths are kept.
        id_bytes: the length of a raw object id.

    Raises:
        UnreadableIndexError: the old one has another form.
    """
    offsets = array("Q")
    offsets.frombytes(table.read_bytes())
    by_path = {encode_path(change.path): change for change in changes}
    with _open_bytes(index) as data:
        old = _OldIndex(data, offsets, _read_count(data), id_bytes)
        parts, count = old.replace_entries(by_path)
        whole = (HEADER.pack(b"DIRC", 2, count), *parts, old.render_extensions(by_path))
        write_index(made, data, whole, id_bytes)


def renew_status(index: Path, made: Path, folder: Path, id_bytes: int) -> None:
    """Writes the index that has the entries of an old one, with the status of the files in a folder.

    Raises:
        UnreadableIndexError: the old one has another form.
        OSError: a file is missing.
    """
    digest = hashlib.sha1(usedforsecurity=False) if id_bytes == 20 else hashlib.sha256()
    root = f"{folder}/".encode()
    with _open_bytes(index) as data, made.open("wb") as file:
        at, fixed = HEADER.size, _STAT_BYTES + id_bytes + 2
        parts = [data[:at]]
        for _ in range(_read_count(data)):
            end = data.find(_NUL, at + fixed)
            length = end - at
            mode = data[at + 24 : at + 28]
            status = os.lstat(root + data[at + fixed : end])
            parts += (
                render_status(status, int.from_bytes(mode)),
                data[at + _STAT_BYTES : at + length + 8 - length % 8],
            )
            at += length + 8 - length % 8
            if len(parts) > _MOST_PARTS:
                _write_parts(file, digest, parts)
        parts.append(data[at:-id_bytes])
        _write_parts(file, digest, parts)
        file.write(digest.digest())


def _write_parts(file: BinaryIO, digest: "hashlib._Hash", parts: list[bytes]) -> None:
    content = b"".join(parts)
    digest.update(content)
    file.write(content)
    parts.clear()


class _OldIndex(Struct, frozen=True):
    data: mmap.mmap
    offsets: "array[int]"
    count: int
    id_bytes: int

    def replace_entries(self, changes: dict[bytes, IndexChange]) -> tuple[list[slice | bytes], int]:
        """Returns the parts of the new entries, in order, and their number."""
        parts: list[slice | bytes] = []
        start, count = HEADER.size, self.count
        for name in sorted(changes):
            at, end = self._find_entry(name)
            parts.append(slice(start, at))
            entry = changes[name].entry
            if entry is not None:
                parts.append(render_entry(entry))
            count += (entry is not None) - (end > at)
            start = end
        parts.append(slice(start, self.offsets[-1]))
        return parts, count

    def _find_entry(self, name: bytes) -> tuple[int, int]:
        """Returns where the entry of a path begins and ends; twice where it would begin, if the path is not in it."""
        step = bisect_right(self.offsets, name, hi=len(self.offsets) - 1, key=self._name_at)
        at = self.offsets[max(0, step - 1)]
        last = self.offsets[-1]
        while at < last:
            found = self._name_at(at)
            length = _STAT_BYTES + self.id_bytes + 2 + len(found)
            end = at + length + 8 - length % 8
            if found == name:
                return at, end
            if found > name:
                break
            at = end
        return at, at

    def _name_at(self, at: int) -> bytes:
        start = at + _STAT_BYTES + self.id_bytes + 2
        return self.data[start : self.data.find(_NUL, start)]

    def render_extensions(self, changes: Iterable[bytes]) -> bytes:
        """Returns the extensions of the new index: the cached trees, without those that have changed."""
        at, end = self.offsets[-1], len(self.data) - self.id_bytes
        while at + 8 <= end:
            kind, size = struct.unpack_from(">4sI", self.data, at)
            if kind == b"TREE":
                trees = invalidate_trees(self.data[at + 8 : at + 8 + size], changes, self.id_bytes)
                return struct.pack(">4sI", kind, len(trees)) + trees
            if kind[:1].islower():
                raise UnreadableIndexError
            at += 8 + size
        return b""


def _read_count(data: mmap.mmap) -> int:
    magic, version, count = HEADER.unpack_from(data)
    if (magic, version) != (b"DIRC", 2):
        raise UnreadableIndexError
    return int(count)


@contextmanager
def _open_bytes(path: Path) -> Iterator[mmap.mmap]:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data
