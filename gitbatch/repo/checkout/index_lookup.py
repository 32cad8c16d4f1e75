"""Looks up a few paths in an index without git, which reads every entry of it: 10 MB at 100,000 files, for each command.

Entries are sorted by path and have no table of their places. So a place in the middle is taken, and the next entry found by
the form that all entries have (gitformat-index(5)): they begin at multiples of 8, with one of four modes, a length that
fits the path, zeros after it, and another entry or the end behind them. Only an index of version 2 in one file is read.
"""

import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from gitbatch.repo.index_bytes import HEADER, UnreadableIndexError

_STAT = struct.Struct(">10I")
_MODE_AT = 24
_MODES = frozenset(mode.to_bytes(4) for mode in (0o100644, 0o100755, 0o120000, 0o160000))
_REGULAR = (0o100644, 0o100755)
_LONG_NAME = 0xFFF
"""The length that stands for this length and more."""
_EXTENDED, _STAGE, _ASSUMED = 0x4000, 0x3000, 0x8000
_WINDOW = 512
"""Bytes in which entries are read one after the other."""
_MOST_NAME = 8192
"""Bytes in which an entry must begin, wherever one looks: no path is longer."""
_EXTENSION_HEADER = 8
_LAST = b"\xff" * _MOST_NAME
"""After every path."""


class FoundEntry(NamedTuple):
    """The entry of a path. Of one in conflict, the first."""

    oid: str
    is_merged: bool
    is_assumed: bool
    """Whether git takes the file for unchanged without looking."""
    status: tuple[int, ...]
    """What git noted of the file: ctime, mtime (seconds and nanoseconds each), device, inode, mode, owner, group, size."""

    @property
    def mode(self) -> int:
        """The mode of the entry in a tree."""
        return self.status[6]

    def is_status_of(self, found: os.stat_result) -> bool:
        """Whether a file has exactly the noted status. Only for regular files with content; git compares less."""
        ours = (
            *divmod(found.st_ctime_ns, 1_000_000_000),
            *divmod(found.st_mtime_ns, 1_000_000_000),
            *(found.st_ino, found.st_uid, found.st_gid, found.st_size),
        )
        noted = (*self.status[:4], self.status[5], *self.status[7:])
        is_executable = bool(found.st_mode & 0o100) == (self.mode == 0o100755)
        is_regular = self.mode in _REGULAR and (found.st_mode & 0o170000) == 0o100000
        is_same = tuple(value & 0xFFFFFFFF for value in ours) == noted
        return is_regular and is_executable and is_same and 0 < found.st_size < 1 << 32


class IndexLookup:
    """The bytes of an index. All methods raise `UnreadableIndexError` where it turns out to have another form."""

    def __init__(self, data: mmap.mmap, id_bytes: int, mtime_ns: int) -> None:
        """Raises UnreadableIndexError for another form."""
        self.mtime_ns = mtime_ns
        self.data = data
        self._limit = len(data) - id_bytes
        self._fixed = _STAT.size + id_bytes + 2
        self._found: dict[tuple[int, int], tuple[int, bytes] | None] = {}
        """What was found between two places: paths that are close to each other are looked for at the same ones."""
        if self._limit < HEADER.size:
            raise UnreadableIndexError
        magic, version, self.count = HEADER.unpack_from(data)
        if (magic, version) != (b"DIRC", 2):
            raise UnreadableIndexError
        self.end = self._limit
        """The place after the last entry."""
        self.end = self._find_place(_LAST) if self.count else HEADER.size
        self.extensions = dict(self._list_extensions())
        """The places of what follows the entries, by its kind."""

    def _list_extensions(self) -> Iterator[tuple[bytes, slice]]:
        """Raises an error unless known extensions follow the entries, to the end: a split or a sparse index has others."""
        at = self.end
        while at < self._limit:
            if at + _EXTENSION_HEADER > self._limit:
                raise UnreadableIndexError
            kind, size = struct.unpack_from(">4sI", self.data, at)
            if not kind[:1].isupper():
                raise UnreadableIndexError
            yield kind, slice(at + _EXTENSION_HEADER, at + _EXTENSION_HEADER + size)
            at += _EXTENSION_HEADER + size
        if at != self._limit:
            raise UnreadableIndexError

    def find_entry(self, path: bytes) -> FoundEntry | None:
        """Returns the entry of a path; None: it has no entry."""
        place = self.find_span(path)
        if place.start == place.stop:
            return None
        at = place.start
        oid = self.data[at + _STAT.size : at + self._fixed - 2].hex()
        status = _STAT.unpack_from(self.data, at)
        return FoundEntry(oid, self.is_merged(place), bool(self._flags_at(at) & _ASSUMED), status)

    def find_span(self, path: bytes) -> slice:
        """Returns the place of the entry of a path; an empty one, where the entry would be: it has none."""
        at = self._find_entry_from(path)
        is_there = at < self.end and self._name_at(at) == path
        return slice(at, self._end_at(at) if is_there else at)

    def is_merged(self, span: slice) -> bool:
        """Whether no entry in conflict is at a span, which may be empty; nor behind it: some programs leave the merged one."""
        if span.start == span.stop:
            return True
        is_last = span.stop == self.end or self._name_at(span.stop) != self._name_at(span.start)
        return is_last and not self._flags_at(span.start) & _STAGE

    def has_below(self, folder: bytes) -> bool:
        """Whether a path below a folder has an entry."""
        at = self._find_entry_from(folder + b"/")
        return at < self.end and self._name_at(at).startswith(folder + b"/")

    def _find_entry_from(self, name: bytes) -> int:
        """Returns where the first entry begins that is not before a path; after the last one, if all are.

        Raises:
            UnreadableIndexError: something else is there, such as an entry with a longer path than there can be.
        """
        at = self._find_place(name)
        if at != self.end and not (at < self.end and self._is_entry(at)):
            raise UnreadableIndexError
        return at

    def _find_place(self, name: bytes) -> int:
        """Returns where the entry of a path begins, or would begin."""
        low, high = HEADER.size, self.end
        while high - low > _WINDOW:
            middle = low + (high - low) // 16 * 8
            if (middle, high) not in self._found:
                start = self._find_next(middle, high)
                self._found[middle, high] = None if start is None else (start, self._name_at(start))
            found = self._found[middle, high]
            if found is None:
                high = middle
            elif found[1] < name:
                low = found[0]
            else:
                high = found[0]
        at = low
        while at < self.end and self._is_entry(at) and self._name_at(at) < name:
            at = self._end_at(at)
        return at

    def _find_next(self, at: int, before: int) -> int | None:
        """Returns the first entry that begins at a place or after it; None: another place comes first.

        Raises:
            UnreadableIndexError: it may be a part of another entry.
        """
        data = self.data
        for start in range(at, min(at + _MOST_NAME, before), 8):
            mode = start + _MODE_AT
            if data[mode : mode + 4] in _MODES and self._is_entry(start) and self._is_followed(start):
                self._require_whole(start)
                return start
        return None

    def _require_whole(self, at: int) -> None:
        """Raises an error if an entry has another one in it that ends where it does.

        A file's group may have the number of a mode: then the rest of an entry may have the form of one, by its path.
        """
        end = self._end_at(at)
        others = range(max(HEADER.size, at - self._fixed // 8 * 8), at, 8)
        if any(self._is_entry(other) and self._end_at(other) == end for other in others):
            raise UnreadableIndexError

    def _is_followed(self, at: int) -> bool:
        """Whether another entry is behind one, or the end of all."""
        end = self._end_at(at)
        if end < self._limit and self._is_entry(end):
            return self._name_at(end) >= self._name_at(at)
        return end == self._limit or self.data[end : end + 4].isalpha()

    def _is_entry(self, at: int) -> bool:
        """Whether an entry begins at a place."""
        data, name = self.data, at + self._fixed
        if name >= self._limit or data[at + _MODE_AT : at + _MODE_AT + 4] not in _MODES:
            return False
        length = self._flags_at(at) & _LONG_NAME
        end = data.find(b"\0", name, name + _MOST_NAME)
        if end <= name or not (end - name == length or (length == _LONG_NAME <= end - name)):
            return False
        after = self._end_at(at)
        return after <= self._limit and not data[end:after].strip(b"\0")

    def _end_at(self, at: int) -> int:
        length = self.data.find(b"\0", at + self._fixed) - at
        return at + length + 8 - length % 8

    def _flags_at(self, at: int) -> int:
        return int.from_bytes(self.data[at + self._fixed - 2 : at + self._fixed])

    def _name_at(self, at: int) -> bytes:
        name = at + self._fixed
        return self.data[name : self.data.find(b"\0", name)]


@contextmanager
def open_lookup(index: Path, id_bytes: int) -> Iterator[IndexLookup]:
    """Yields the index at a path.

    Raises:
        UnreadableIndexError: it has another form, or does not exist.
    """
    try:
        file = index.open("rb")
    except OSError as error:
        raise UnreadableIndexError from error
    with file:
        status = os.fstat(file.fileno())
        if not status.st_size:
            raise UnreadableIndexError
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:  # some network file systems cannot do that
            raise UnreadableIndexError from error
        with data:
            yield IndexLookup(data, id_bytes, status.st_mtime_ns)
