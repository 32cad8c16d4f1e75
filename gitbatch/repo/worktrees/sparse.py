"""Checks out some files of a commit, with an index that covers all of them, without a git process.

git's own sparse checkout reads and writes an entry for every file of the repository. The cost of this one depends on the
wanted files only: folders without any are one entry of the index each, as git's sparse index has them (index-format(5);
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

from gitbatch.errors import GitError
from gitbatch.fs.nofollow import directory
from gitbatch.repo.index_bytes import NewIndexEntry, render_entry
from gitbatch.repo.objects.codec import SUBMODULE, SYMLINK, TREE, TreeEntry
from gitbatch.repo.objects.store import Objects

_Wanted = dict[str, "_Wanted"]
"""The wanted names of a folder, each with those below it; empty: everything."""


def check_out(objects: Objects, tree: str, paths: tuple[str, ...], folder: Path) -> bytes:
    """Writes the files at and below some paths of a tree into a new worktree; returns its index.

    An existing file stays: the worktree's own `.git`, on a file system that ignores case.

    Args:
        objects: the object store.
        tree: of the commit.
        paths: of files and folders; those that are not in the tree are skipped.
        folder: the worktree, whose agent has not started yet.

    Raises:
        OSError: a file cannot be written.
        GitError: an object is missing, or git would not check out the tree.
    """
    wanted: dict[str, _Wanted] = {}
    for path in paths:
        _add_wanted(wanted, path.removesuffix("/").split("/"))
    return _render_index(list(_check_out_folder(objects, tree, "", wanted, folder)), objects.id_bytes)


def list_wanted_objects(objects: Objects, tree: str, paths: tuple[str, ...]) -> Iterator[str]:
    """Yields the ids of the trees and blobs that `check_out` reads for the same arguments; one may come twice."""
    wanted: dict[str, _Wanted] = {}
    for path in paths:
        _add_wanted(wanted, path.removesuffix("/").split("/"))
    yield from _list_folder(objects, tree, wanted)


def _list_folder(objects: Objects, tree: str, wanted: _Wanted | None) -> Iterator[str]:
    yield tree
    for entry in objects.read_folder(tree).values():
        below = {} if wanted is None else wanted.get(entry.name)
        if entry.is_tree and below is not None:
            yield from _list_folder(objects, entry.oid, below or None)
        elif below == {} and entry.mode != SUBMODULE:
            yield entry.oid


def _add_wanted(wanted: dict[str, _Wanted], parts: list[str]) -> None:
    name, *rest = parts
    if not rest:
        wanted[name] = {}
    elif name not in wanted or wanted[name]:
        _add_wanted(wanted.setdefault(name, {}), rest)


def _check_out_folder(
    objects: Objects, tree: str, prefix: str, wanted: _Wanted | None, folder: Path
) -> Iterator[NewIndexEntry]:
    """Yields the entries of the index below a folder, in git's order; `wanted` None: everything is wanted."""
    for entry in objects.read_folder(tree).values():
        if entry.name in {"", ".", ".."} or "/" in entry.name:
            raise GitError(
                ("read-tree", tree), 1, f"{prefix}{entry.name} is not a path that git would check out"
            )
        path = f"{prefix}{entry.name}"
        below = {} if wanted is None else wanted.get(entry.name)
        mode = int(entry.mode, 8)
        if entry.is_file:
            mode = stat.S_IFREG | (0o755 if mode & stat.S_IXUSR else 0o644)
        if entry.is_tree and below is None:
            yield NewIndexEntry(f"{path}/", mode, entry.oid, present=False)
        elif entry.is_tree:
            yield from _check_out_folder(objects, entry.oid, f"{path}/", below or None, folder)
        else:
            present = below == {}
            status = write_entry(objects, folder, path, entry) if present else None
            yield NewIndexEntry(path, mode, entry.oid, present, status)


def write_entry(objects: Objects, folder: Path, path: str, entry: TreeEntry) -> os.stat_result | None:
    """Writes what an entry of a tree is to a path below a folder, as it is stored; returns its status.

    None: it is a submodule, of which there is an empty folder, or the path exists, and stays.
    """
    *parents, name = path.split("/")
    with directory(folder, tuple(parents), create=True) as parent, suppress(FileExistsError):
        if entry.mode == SUBMODULE:
            os.mkdir(name, dir_fd=parent)
            return None
        if entry.mode == SYMLINK:
            os.symlink(os.fsdecode(objects.read_blob(entry.oid)), name, dir_fd=parent)
        else:
            allowed = 0o777 if int(entry.mode, 8) & stat.S_IXUSR else 0o666
            descriptor = os.open(
                name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, allowed, dir_fd=parent
            )
            try:
                objects.copy_to_fd(entry.oid, descriptor)
            finally:
                os.close(descriptor)
        return os.stat(name, dir_fd=parent, follow_symlinks=False)
    return None


def _render_index(entries: list[NewIndexEntry], id_bytes: int) -> bytes:
    """Returns the content of the index file, in version 3."""
    parts = [struct.pack(">4sII", b"DIRC", 3, len(entries))]
    parts += [render_entry(entry) for entry in entries]
    if any(entry.mode == int(TREE, 8) for entry in entries):
        parts.append(struct.pack(">4sI", b"sdir", 0))
    content = b"".join(parts)
    digest = hashlib.sha1 if id_bytes == 20 else hashlib.sha256
    return content + digest(content).digest()
