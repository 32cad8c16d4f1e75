"""Puts the new versions of a few files into the index of the user's checkout, under its lock.

git reads and writes an entry for every file: at 100,000 files it takes three times as long as a copy of the index. Here
the entries of the changed paths are replaced in such a copy; everything else stays as it is, byte for byte.

So does the time of the index. A file that is not older than the index may have changed after git looked at it, so git reads
it again; when git writes an index, it reads all of those and marks what has changed. Here none is read: with a new time
of the index, such a file would be taken for unchanged. Programs that compare times and sizes have to see a difference, so
the new index is a little older than the old one.

Only an index of version 2 in one file is written, with the extensions that are known here. Any other is left to git.
"""

import os
import shutil
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from gitbatch.fs.durable import sync_file
from gitbatch.paths import encode_path
from gitbatch.repo.checkout.files import FileChange
from gitbatch.repo.checkout.index_lookup import IndexLookup, open_lookup
from gitbatch.repo.index_bytes import (
    HEADER,
    NewIndexEntry,
    UnreadableIndexError,
    invalidate_trees,
    list_folders,
    render_entry,
    write_index,
)
from gitbatch.repo.objects.codec import REGULAR
from gitbatch.repo.private_dir import private_git
from gitbatch.repo.repository import Repository

_TREES, _UNDONE_CONFLICTS = b"TREE", b"REUC"
_PLACES = frozenset({b"EOIE", b"IEOT"})
"""Extensions that say where entries are. They serve speed alone; our git would leave them out, too."""
_SECOND, _MICROSECOND = 1_000_000_000, 1_000
_SECONDS = range(1, 1 << 32)
"""The times of an index that git has bits for; by the time 0, no file would count as changed later."""


def update_index(repo: Repository, changes: list[FileChange]) -> None:
    """Puts the new versions into a new index, which then replaces the old one.

    Raises:
        OSError: the disk fails.
    """
    if not changes:
        return
    repo.objects.writer.sync()
    index, made = repo.git_dir / "index", repo.git_dir / "index.gitbatch"
    try:
        _write_changed(index, made, changes, repo.id_bytes)
    except UnreadableIndexError:
        _leave_to_git(repo, index, made, changes)
    sync_file(made)
    made.replace(index)
    made.unlink(missing_ok=True)  # git wrote nothing: both names are still those of one file


def _write_changed(index: Path, made: Path, changes: list[FileChange], id_bytes: int) -> None:
    """Writes the index with changes to another file.

    Raises:
        UnreadableIndexError: git has to do it.
    """
    if index.is_symlink():
        raise UnreadableIndexError
    by_path = {encode_path(change.path): change for change in changes}
    with open_lookup(index, id_bytes) as old:
        if old.mtime_ns // _SECOND - 1 not in _SECONDS:
            raise UnreadableIndexError
        extensions = tuple(_render_extensions(old, by_path, id_bytes))
        write_index(made, old.data, (*_replace_entries(old, by_path), *extensions), id_bytes)
        # That of the bytes that were read, whatever another program has done to the file since.
        time = old.mtime_ns - (_SECOND if made.stat().st_size == len(old.data) else _MICROSECOND)
        with suppress(PermissionError):
            made.chmod(index.stat().st_mode & 0o7777)
            os.utime(made, ns=(time, time))
        if made.stat().st_mtime_ns > old.mtime_ns:  # some file systems keep their own time
            raise UnreadableIndexError


def _replace_entries(old: IndexLookup, changes: dict[bytes, FileChange]) -> list[slice | bytes]:
    """Returns the parts of the new index up to its extensions."""
    _require_no_files(old, changes)
    parts: list[slice | bytes] = []
    start, count = HEADER.size, old.count
    for name, change in sorted(changes.items()):
        found = old.find_span(name)
        is_new = found.start == found.stop
        if change.skipped or not old.is_merged(found) or (is_new and old.has_below(name)):
            raise UnreadableIndexError
        parts.append(slice(start, found.start))
        if change.new:
            parts.append(render_entry(NewIndexEntry(change.path, int(REGULAR, 8), change.new, present=True)))
        count += bool(change.new) - (not is_new)
        start = found.stop
    return [HEADER.pack(b"DIRC", 2, count), *parts, slice(start, old.end)]


def _require_no_files(old: IndexLookup, changes: dict[bytes, FileChange]) -> None:
    """Raises an error if a folder of a path has been a file: git removes that."""
    folders = list_folders(name for name, change in changes.items() if change.new)
    if any(folder in changes or old.find_entry(folder) for folder in folders if folder):
        raise UnreadableIndexError


def _render_extensions(old: IndexLookup, changes: Iterable[bytes], id_bytes: int) -> Iterator[slice | bytes]:
    for kind, place in old.extensions.items():
        if kind == _TREES:
            trees = invalidate_trees(old.data[place], changes, id_bytes)
            yield struct.pack(">4sI", kind, len(trees)) + trees
        elif kind == _UNDONE_CONFLICTS:
            yield slice(place.start - 8, place.stop)
        elif kind not in _PLACES:
            raise UnreadableIndexError


def _leave_to_git(repo: Repository, index: Path, made: Path, changes: list[FileChange]) -> None:
    made.unlink(missing_ok=True)
    if index.exists():
        _link_or_copy(index, made)
    entries = (f"{REGULAR} {c.new} 0" if c.new else f"0 {'0' * 2 * repo.id_bytes}" for c in changes)
    lines = b"".join(
        entry.encode() + b"\t" + encode_path(c.path) + b"\0"
        for c, entry in zip(changes, entries, strict=True)
    )
    skipped = b"".join(encode_path(c.path) + b"\0" for c in changes if c.skipped and c.new)
    with private_git(repo, repo.root, index=made) as git:
        git.run("update-index", "-z", "--index-info", input=lines)
        if skipped:
            git.run("update-index", "--skip-worktree", "-z", "--stdin", input=skipped)


def _link_or_copy(index: Path, copy: Path) -> None:
    """Gives an index a second name: git writes a new file under that, and never into the old one. It may be 10 MB."""
    try:
        copy.hardlink_to(index)
    except OSError:  # no hard links there
        shutil.copy2(index, copy)
