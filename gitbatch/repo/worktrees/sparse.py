"""Checking out a few files of a commit, with an index that knows all of them: by hand, and without a git process.

git's own sparse checkout reads and writes an entry for every file of the repository. This one costs what is asked for:
folders in which nothing is wanted are one entry of the index each, as git's sparse index has them (index-format(5);
git 2.32 on reads it), so that a commit by an agent in such a worktree deletes nothing. Files come as they are stored:
no filter is run and no line end converted.
"""

import hashlib
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from gitbatch.errors import GitError
from gitbatch.fs.nofollow import directory
from gitbatch.paths import encode_path
from gitbatch.repo.objects.codec import SUBMODULE, SYMLINK, TREE, TreeEntry
from gitbatch.repo.objects.store import Objects

_Wanted = dict[str, "_Wanted"]
"""A folder's names, with what is wanted below each; empty: everything."""

_EXTENDED, _LONGEST_NAME = 0x4000, 0xFFF
_SKIP_WORKTREE = 0x4000
_NOT_LOOKED_AT = struct.pack(">10I", *(0,) * 10)


class _SparseEntry(Struct, frozen=True):
    """An entry of the index; `status`: of the file, where it is checked out."""

    path: str
    mode: int
    oid: str
    present: bool
    status: os.stat_result | None = None


def check_out(objects: Objects, tree: str, paths: tuple[str, ...], place: Path) -> bytes:
    """Write the files at, and below, some paths of a tree into a new worktree; returns its index.

    What already has the name of a file stays: the worktree's own `.git`, on a disk that takes two names for one.

    Args:
        objects: where they are.
        tree: the whole commit's.
        paths: of files and folders; what is not in the tree is passed over.
        place: the worktree, in which nobody works yet.

    Raises:
        OSError: a file can't be written.
        GitError: an object is missing, or the tree is none that git would check out.
    """
    wanted: dict[str, _Wanted] = {}
    for path in paths:
        _want(wanted, path.removesuffix("/").split("/"))
    return _render(list(_entries(objects, tree, "", wanted, place)), objects.id_bytes)


def _want(wanted: dict[str, _Wanted], parts: list[str]) -> None:
    name, *rest = parts
    if not rest:
        wanted[name] = {}
    elif name not in wanted or wanted[name]:
        _want(wanted.setdefault(name, {}), rest)


def _entries(
    objects: Objects, tree: str, prefix: str, wanted: _Wanted | None, place: Path
) -> Iterator[_SparseEntry]:
    """The entries of the index below a folder, in git's order; `wanted` None: everything is."""
    for entry in objects.read_folder(tree).values():
        if entry.name in {"", ".", ".."} or "/" in entry.name:
            raise GitError(
                ("read-tree", tree), 1, f"{prefix}{entry.name} is no path that git would check out"
            )
        path = f"{prefix}{entry.name}"
        below = {} if wanted is None else wanted.get(entry.name)
        mode = int(entry.mode, 8)
        if entry.is_file:
            mode = stat.S_IFREG | (0o755 if mode & stat.S_IXUSR else 0o644)
        if entry.is_tree and below is None:
            yield _SparseEntry(f"{path}/", mode, entry.oid, present=False)
        elif entry.is_tree:
            yield from _entries(objects, entry.oid, f"{path}/", below or None, place)
        else:
            present = below == {}
            status = _write(objects, place, path, entry) if present else None
            yield _SparseEntry(path, mode, entry.oid, present, status)


def _write(objects: Objects, place: Path, path: str, entry: TreeEntry) -> os.stat_result | None:
    *parents, name = path.split("/")
    with directory(place, tuple(parents), create=True) as parent, suppress(FileExistsError):
        if entry.mode == SUBMODULE:
            os.mkdir(name, dir_fd=parent)
            return None
        if entry.mode == SYMLINK:
            os.symlink(os.fsdecode(objects.read_blob(entry.oid)), name, dir_fd=parent)
        else:
            allowed = 0o777 if int(entry.mode, 8) & stat.S_IXUSR else 0o666
            descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, allowed, dir_fd=parent)
            try:
                objects.copy_to_fd(entry.oid, descriptor)
            finally:
                os.close(descriptor)
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    return None


def _render(entries: list[_SparseEntry], id_bytes: int) -> bytes:
    """The index as a file, in version 3."""
    parts = [struct.pack(">4sII", b"DIRC", 3, len(entries))]
    parts += [_render_entry(entry) for entry in entries]
    if any(entry.mode == int(TREE, 8) for entry in entries):
        parts.append(struct.pack(">4sI", b"sdir", 0))
    content = b"".join(parts)
    digest = hashlib.sha1 if id_bytes == 20 else hashlib.sha256
    return content + digest(content).digest()


def _render_entry(entry: _SparseEntry) -> bytes:
    name = encode_path(entry.path)
    length = min(len(name), _LONGEST_NAME)
    flags = (
        struct.pack(">H", length) if entry.present else struct.pack(">HH", _EXTENDED | length, _SKIP_WORKTREE)
    )
    raw = _times(entry) + bytes.fromhex(entry.oid) + flags + name
    return raw + b"\0" * (8 - len(raw) % 8)


def _times(entry: _SparseEntry) -> bytes:
    """What git compares to see that a file is unchanged; where there is nothing, it looks at the file."""
    status = entry.status
    if status is None:
        return _NOT_LOOKED_AT[:24] + struct.pack(">I", entry.mode) + _NOT_LOOKED_AT[28:]
    numbers = (
        *divmod(status.st_ctime_ns, 1_000_000_000),
        *divmod(status.st_mtime_ns, 1_000_000_000),
        *(status.st_dev, status.st_ino, entry.mode, status.st_uid, status.st_gid, status.st_size),
    )
    return struct.pack(">10I", *(number & 0xFFFFFFFF for number in numbers))
