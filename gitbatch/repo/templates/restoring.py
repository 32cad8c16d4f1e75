"""Makes a folder that an agent has left equal to a checkout of a tree, as files: git is not run in it.

What the agent touched is known by change times (`fs/touched.py`). New entries are removed, and files that are gone or have
changed are made in another folder, as in a thin layer, and moved in. A folder whose attributes the agent changed in another
way than its permissions cannot be restored.
"""

import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from gitbatch.fs.nofollow import directory
from gitbatch.fs.removal import remove_anything
from gitbatch.fs.touched import Touched
from gitbatch.paths import ancestors
from gitbatch.repo.objects.codec import SUBMODULE, TREE, TreeEntry
from gitbatch.repo.objects.reader import PathChange
from gitbatch.repo.repository import Repository
from gitbatch.repo.templates.delta import Delta, fill_delta

_MOST = 1000
"""The most files of a checkout that are restored; a checkout of which more changed is made again."""
_HARMLESS = "security."
"""The prefix of attributes that the system sets."""


class NotRestorableError(Exception):
    """A folder has attributes that a checkout does not have, or too much of it was changed."""


class _Restoring(NamedTuple):
    repo: Repository
    root: Path
    tree: str
    usual: os.stat_result
    """The status of a new folder."""


def restore_checkout(
    repo: Repository, root: Path, tree: str, touched: Touched, usual: os.stat_result
) -> tuple[PathChange, ...]:
    """Makes a folder equal to a checkout of a tree again; returns the files that were written for that.

    Args:
        repo: the repository.
        root: the folder, in which no agent works any more.
        tree: the tree that it had when `touched` began.
        touched: everything that was touched since.
        usual: the status of a new folder: owner, group and permissions.

    Raises:
        NotRestorableError: it has changed too much.
        OSError: a file in it cannot be written, or the folder cannot be read.
        GitError: git cannot check a file out.
    """
    missing: dict[str, TreeEntry] = {}
    if any(_is_in_submodule(repo, tree, path) for path in (*touched.folders, *touched.files)):
        raise NotRestorableError
    for folder in touched.folders:
        _restore_folder(_Restoring(repo, root, tree, usual), folder, missing)
    for path in touched.files:
        entry = repo.objects.find_entry(tree, path)
        if entry is not None and not entry.is_tree and path not in missing:
            _remove_entry(root, path)
            missing[path] = entry
    if len(missing) > _MOST:
        raise NotRestorableError
    changes = tuple(PathChange(path, None, entry) for path, entry in missing.items())
    write_changes(repo, root, Delta(tree, changes))
    return changes


def write_changes(repo: Repository, root: Path, delta: Delta) -> None:
    """Removes the paths that a tree does not have from a folder, and writes the files that it has now.

    Raises:
        OSError: a file in it cannot be written.
        GitError: git cannot check a file out.
    """
    for change in delta.changes:
        if change.old:
            _remove_entry(root, change.path)
        if change.new is None:
            _prune_folders(repo, root, delta.tree, change.path)
    new = tuple(change for change in delta.changes if change.new)
    if not new:
        return
    made = root.with_name(f"{root.name}.new-{secrets.token_hex(4)}")
    made.mkdir()
    try:
        fill_delta(repo, Delta(delta.tree, new), made)
        for change in new:
            _move_entry(made, root, change.path)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _restore_folder(restoring: _Restoring, folder: str, missing: dict[str, TreeEntry]) -> None:
    """Removes from a folder what the tree does not have there, and adds what it lacks to `missing`."""
    repo, root = restoring.repo, restoring.root
    entry = repo.objects.find_entry(restoring.tree, folder) if folder else TreeEntry(TREE, "", restoring.tree)
    if entry is None or not entry.is_tree:
        gone = (path for path in _folders_to(folder) if not repo.objects.find_entry(restoring.tree, path))
        _remove_entry(root, next(gone, folder))
        return
    if not os.path.lexists(root / folder):
        return  # the folder above has it among its missing ones
    wanted = repo.objects.read_folder(entry.oid)
    with directory(root, tuple(folder.split("/")) if folder else ()) as opened:
        _restore_attributes(opened, restoring.usual)
        with os.scandir(opened) as entries:
            kinds = {each.name: each.is_dir(follow_symlinks=False) for each in entries}
    right = {
        name for name, is_folder in kinds.items() if name in wanted and is_folder == _is_folder(wanted[name])
    }
    for name in kinds.keys() - right:
        remove_anything(root / folder / name)
    for name in wanted.keys() - right:
        _add_missing(repo, f"{folder}/{name}".lstrip("/"), wanted[name], missing)


def _is_in_submodule(repo: Repository, tree: str, path: str) -> bool:
    above = (repo.objects.find_entry(tree, folder) for folder in _folders_to(path) if folder)
    return any(entry is not None and entry.mode == SUBMODULE for entry in above)


def _is_folder(entry: TreeEntry) -> bool:
    return entry.is_tree or entry.mode == SUBMODULE


def _folders_to(path: str) -> list[str]:
    """Returns a path and the folders above it, the topmost first."""
    return [*sorted(ancestors(path), key=len), path]


def _add_missing(repo: Repository, path: str, entry: TreeEntry, missing: dict[str, TreeEntry]) -> None:
    below: Iterable[tuple[str, TreeEntry]] = (
        repo.objects.list_files(entry.oid, f"{path}/") if entry.is_tree else ((path, entry),)
    )
    missing.update(islice(below, _MOST + 1))
    if len(missing) > _MOST:
        raise NotRestorableError


def _restore_attributes(folder: int, usual: os.stat_result) -> None:
    """Gives a folder the permissions of a new one.

    Raises:
        NotRestorableError: it has an attribute or an access list, or belongs to another user or group.
    """
    status = os.fstat(folder)
    named = os.listxattr(folder) if hasattr(os, "listxattr") else []
    if any(not name.startswith(_HARMLESS) for name in named):
        raise NotRestorableError
    if (status.st_uid, status.st_gid) != (usual.st_uid, usual.st_gid):
        raise NotRestorableError
    if status.st_mode != usual.st_mode:
        os.fchmod(folder, stat.S_IMODE(usual.st_mode))


@contextmanager
def _opened_parent(root: Path, path: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
    *parents, name = path.split("/")
    with directory(root, tuple(parents), create=create) as parent:
        yield parent, name


def _remove_entry(root: Path, path: str) -> None:
    try:
        with _opened_parent(root, path):
            remove_anything(root / path)
    except FileNotFoundError:
        return


def _prune_folders(repo: Repository, root: Path, tree: str, path: str) -> None:
    """Removes the empty folders of a path that a tree does not have."""
    for folder in reversed(_folders_to(path)[:-1]):
        if repo.objects.find_entry(tree, folder) is None:
            with suppress(OSError), _opened_parent(root, folder) as (parent, name):
                os.rmdir(name, dir_fd=parent)


def _move_entry(made: Path, root: Path, path: str) -> None:
    with (
        _opened_parent(made, path) as (source, name),
        _opened_parent(root, path, create=True) as (target, _),
    ):
        if stat.S_ISDIR(os.stat(name, dir_fd=source, follow_symlinks=False).st_mode):  # of a submodule
            os.mkdir(name, dir_fd=target)
        else:
            os.replace(name, name, src_dir_fd=source, dst_dir_fd=target)
