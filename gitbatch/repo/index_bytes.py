"""The bytes of an index (gitformat-index(5)): its entries, the trees that it caches, and the digest at its end.

An index of 100,000 files has 10 MB. So one that differs little from another is written as parts of that, and new entries.

An index also caches the trees of folders. Those of folders with other files than before are marked invalid, as git marks
them when it adds a file; the others stay, so that `git status` need not read every tree of the commit.
"""

import mmap
import os
import struct
from collections.abc import Iterable
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from msgspec import Struct

from gitbatch.fs.disk import naming
from gitbatch.paths import encode_path
from gitbatch.patterns import compile_later
from gitbatch.repo.objects.codec import open_digest

if TYPE_CHECKING:
    from hashlib import _Hash

HEADER = struct.Struct(">4sII")
"""The signature, the version, the number of entries."""
_EXTENDED, _LONGEST_NAME = 0x4000, 0xFFF
_SKIP_WORKTREE = 0x4000
_NO_STAT = struct.pack(">10I", *(0,) * 10)
_FOLDERS = {
    size: compile_later(rb"(?s)(([^\0]*)\0(?:-1|(\d+)) (\d+)\n(?(3).{%d}))" % size) for size in (20, 32)
}
"""A folder in the cached trees, by the length of a raw object id: all of it, its name, its entries, its folders."""


class UnreadableIndexError(Exception):
    """The index has another form than the one that is read here: git has to be asked."""


class NewIndexEntry(Struct, frozen=True):
    """An entry of the index; `status`: of the file, where it is checked out."""

    path: str
    mode: int
    oid: str
    present: bool
    status: os.stat_result | None = None


def render_entry(entry: NewIndexEntry) -> bytes:
    """Returns the bytes of an entry."""
    name = encode_path(entry.path)
    length = min(len(name), _LONGEST_NAME)
    flags = (
        struct.pack(">H", length) if entry.present else struct.pack(">HH", _EXTENDED | length, _SKIP_WORKTREE)
    )
    raw = _render_stat(entry) + bytes.fromhex(entry.oid) + flags + name
    return raw + b"\0" * (8 - len(raw) % 8)


def _render_stat(entry: NewIndexEntry) -> bytes:
    """Returns the part of an entry that git compares with a file's status; zeros make git read the file."""
    if entry.status is None:
        return _NO_STAT[:24] + struct.pack(">I", entry.mode) + _NO_STAT[28:]
    return render_status(entry.status, entry.mode)


def render_status(status: os.stat_result, mode: int) -> bytes:
    """Returns the status of a file as an entry has it; `mode`: the one that git gives the file."""
    numbers = (
        *divmod(status.st_ctime_ns, 1_000_000_000),
        *divmod(status.st_mtime_ns, 1_000_000_000),
        *(status.st_dev, status.st_ino, mode, status.st_uid, status.st_gid, status.st_size),
    )
    return struct.pack(">10I", *(number & 0xFFFFFFFF for number in numbers))


def invalidate_trees(content: bytes, changes: Iterable[bytes], id_bytes: int) -> bytes:
    """Returns the cached trees of an index, with the folders of changed paths marked invalid.

    Each folder has a name, the number of its entries (-1: invalid, then without an id) and of its folders, and its id;
    its folders follow it.

    Raises:
        UnreadableIndexError: they have another form.
    """
    changed = list_folders(changes)
    parts: list[bytes] = []
    start = end = 0
    above: list[bytes | None] = [b""]
    """For each folder that is to come, its parent's path with a slash; None: nothing below that is changed."""
    for folder, name, _, folders in _FOLDERS[id_bytes].findall(content):
        if not above:
            raise UnreadableIndexError
        prefix = above.pop()
        end += len(folder)
        if prefix is not None and (path := prefix + name) in changed:
            parts += (content[start : end - len(folder)], name, b"\0-1 ", folders, b"\n")
            start = end
            prefix = path + b"/" if path else b""
        else:
            prefix = None
        if folders != b"0":
            above += [prefix] * int(folders)
    if above or end != len(content):
        raise UnreadableIndexError
    return b"".join((*parts, content[start:]))


def list_folders(paths: Iterable[bytes]) -> set[bytes]:
    """Returns the folders of paths; the outermost is empty."""
    found = {b""}
    for path in paths:
        above = path.rpartition(b"/")[0]
        while above not in found:
            found.add(above)
            above = above.rpartition(b"/")[0]
    return found


def write_index(made: Path, old: mmap.mmap, parts: Iterable[slice | bytes], id_bytes: int) -> None:
    """Writes an index that consists of parts of an old one and of others, and its digest, into a new file.

    Raises:
        OSError: the disk fails.
    """
    made.unlink(missing_ok=True)  # it may be a second name of an index
    digest = open_digest(id_bytes)
    with naming(made), made.open("xb") as file, memoryview(old) as view:
        contents = [view[part] if isinstance(part, slice) else memoryview(part) for part in parts]
        # Neither needs Python's lock for large parts: at 10 MB, the second core saves half of the time.
        hashing = Thread(target=_update_digest, args=(digest, contents))
        hashing.start()
        try:
            for content in contents:
                file.write(content)
        finally:
            hashing.join()
            for content in contents:
                content.release()
        file.write(digest.digest())


def _update_digest(digest: "_Hash", contents: Iterable[memoryview]) -> None:
    for content in contents:
        digest.update(content)
