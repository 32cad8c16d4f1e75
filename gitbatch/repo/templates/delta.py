"""Thin layers: the files of a later base that an earlier one does not have, or has with another content.

A path that the later base no longer has is a whiteout, a character device 0/0, by which an overlay hides what is below.
Files are made as git's checkout makes them: by git where an attribute or a setting converts content, else here.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from gitbatch.fs.disk import naming
from gitbatch.fs.nofollow import directory
from gitbatch.paths import ancestors, encode_path
from gitbatch.repo.attributes import Rules, read_rules
from gitbatch.repo.index_bytes import NewIndexEntry
from gitbatch.repo.objects.codec import SUBMODULE, TreeEntry
from gitbatch.repo.objects.reader import PathChange
from gitbatch.repo.path_rules import rule_files
from gitbatch.repo.private_dir import private_git
from gitbatch.repo.repository import Repository
from gitbatch.repo.templates.index_file import IndexChange
from gitbatch.repo.templates.real_files import put_lfs_files
from gitbatch.repo.worktrees.sparse import write_entry


class Delta(Struct, frozen=True):
    """The difference of a tree to that of the layers below."""

    tree: str
    changes: tuple[PathChange, ...]


def fill_delta(repo: Repository, delta: Delta, folder: Path) -> tuple[str, ...]:
    """Writes the files and whiteouts of a thin layer into an empty folder; returns what is missing (`RealFiles`).

    Raises:
        PermissionError: this process may not make whiteouts there.
        OSError: the folder cannot be written.
        GitError: git cannot check a file out.
    """
    for path in sorted(_find_vanished(repo, delta)):
        _put_whiteout(folder, path)
    new = {change.path: change.new for change in delta.changes if change.new}
    rules = read_rules(repo, delta.tree, new)
    if _may_convert(repo, rules):
        _check_out_by_git(repo, delta.tree, new, folder)
    else:
        for path, entry in new.items():
            write_entry(repo.objects, folder, path, entry)
    return put_lfs_files(repo, delta.tree, folder, new).missing


def index_changes(changes: Iterable[PathChange], layers: tuple[Path, ...]) -> Iterator[IndexChange]:
    """Yields the entries of the index for changed paths.

    Args:
        changes: from the tree of the index that is changed.
        layers: the folders that have the files, the uppermost first.
    """
    for change in changes:
        new = change.new
        if new is None:
            yield IndexChange(change.path, None)
            continue
        mode = int(new.mode, 8)
        if new.is_file:
            mode = stat.S_IFREG | (0o755 if mode & stat.S_IXUSR else 0o644)
        status = None if new.mode == SUBMODULE else _read_status(change.path, layers)
        yield IndexChange(change.path, NewIndexEntry(change.path, mode, new.oid, True, status))


def _read_status(path: str, layers: tuple[Path, ...]) -> os.stat_result | None:
    for layer in layers:
        with suppress(OSError):
            return (layer / path).lstat()
    return None


def _find_vanished(repo: Repository, delta: Delta) -> set[str]:
    """Returns the paths of whiteouts: of vanished files, or of the folders that vanished with them."""
    vanished = set()
    for change in delta.changes:
        if change.new is None:
            for path in (*sorted(ancestors(change.path), key=len), change.path):
                entry = repo.objects.find_entry(delta.tree, path)
                if entry is None:
                    vanished.add(path)
                if entry is None or not entry.is_tree:  # a file hides what is below, as a whiteout does
                    break
    return vanished


def _put_whiteout(folder: Path, path: str) -> None:
    *parents, name = path.split("/")
    with naming(folder / path), directory(folder, tuple(parents), create=True) as parent:
        os.mknod(name, stat.S_IFCHR | 0o600, os.makedev(0, 0), dir_fd=parent)


def _may_convert(repo: Repository, rules: Rules) -> bool:
    """Whether a checkout may write something else than the bytes of the objects."""
    links = repo.files_config.get("core.symlinks", "true").lower()
    return bool(rules or repo.attributes) or repo.line_ends.on_disk or links != "true"


def _check_out_by_git(repo: Repository, tree: str, new: dict[str, TreeEntry], folder: Path) -> None:
    """Checks files out with an index that has them and the attribute files that apply to them, and nothing else."""
    rules = {path: TreeEntry("100644", path, oid) for path, oid in rule_files(repo, tree, new)}
    listed = b"".join(
        f"{entry.mode:0>6} {entry.oid} 0\t".encode() + encode_path(path) + b"\0"
        for path, entry in sorted({**rules, **new}.items())
    )
    repo.objects.writer.flush()  # the other git reads the objects
    index = folder.with_name(f"{folder.name}.index")
    with private_git(repo, folder, index=index) as git:
        git.run("update-index", "-z", "--index-info", input=listed)
        paths = b"".join(encode_path(path) + b"\0" for path in new)
        git.run("checkout-index", "-z", "--stdin", input=paths)
    index.unlink()
