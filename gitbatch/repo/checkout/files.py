"""Updates the files of the user's checkout that still equal their old versions, or removes them.

New versions are written to temporary files, which replace the old ones once they are synced; those of one folder are
synced together. A file that the user saves in the meantime stays, and so does anything at a path that is not a file, or
not a folder. An error of the disk is raised: the same call, when the disk works again, updates the rest.
"""

import os
from contextlib import suppress
from enum import Enum, auto

from msgspec import Struct

from gitbatch.fs.disk import is_at_the_path, naming
from gitbatch.fs.durable import drop_remains, replacing_all
from gitbatch.fs.nofollow import directory, regular_file_in
from gitbatch.repo.process import Git
from gitbatch.repo.repository import Repository

_AT_ONCE = 100
"""The most files that are open at the same time."""
_Stamp = tuple[int, int, int] | None
"""Inode, time and size, by which a later save of a file is detected; None: the file is missing."""


class _FileState(Enum):
    ABSENT = auto()
    OLD = auto()
    NEW = auto()
    OTHER = auto()


class FileChange(Struct, frozen=True):
    """A path that is to be updated from one blob to another."""

    path: str
    old: str | None
    new: str
    """Empty: the file is to be removed."""
    converted: bool = False
    """Whether the file differs from the blob by a conversion, for example of line ends."""
    skipped: bool = False
    """Whether a sparse checkout leaves it out."""

    @property
    def folder(self) -> tuple[str, ...]:
        """The components of its folder's path."""
        return tuple(self.path.split("/")[:-1])

    @property
    def name(self) -> str:
        """Its name in its folder."""
        return self.path.rpartition("/")[2]


class _Checkout(Struct, frozen=True):
    """The repository, and the git that converts files; None: none is converted."""

    repo: Repository
    converting: Git | None


class _ObservedFile(Struct, frozen=True):
    """The state of a file when it was read."""

    change: FileChange
    state: _FileState
    stamp: _Stamp = None

    @property
    def is_old(self) -> bool:
        """Whether it equals the old version, and is to be updated."""
        if self.state is _FileState.ABSENT and (self.change.skipped or not self.change.new):
            return False
        return self.state is (_FileState.ABSENT if self.change.old is None else _FileState.OLD)

    @property
    def is_new(self) -> bool:
        """Whether it equals the new version."""
        may_be_absent = self.change.skipped or not self.change.new
        return self.state is _FileState.NEW or (may_be_absent and self.state is _FileState.ABSENT)


def update_files(repo: Repository, changes: list[FileChange], converting: Git | None = None) -> set[str]:
    """Replaces the files that equal their old versions. Returns the paths whose files differ from the new ones then.

    Args:
        repo: the repository.
        changes: the paths that changed.
        converting: a git that converts files by the attributes that apply; see `private_dir.py`. None: no conversion.

    Raises:
        OSError: the disk fails; some files may have been updated.
    """
    checkout = _Checkout(repo, converting)
    folders: dict[tuple[str, ...], list[FileChange]] = {}
    for change in changes:
        folders.setdefault(change.folder, []).append(change)
    left: set[str] = set()
    for folder, inside in folders.items():
        for start in range(0, len(inside), _AT_ONCE):
            left |= _update_some(checkout, folder, inside[start : start + _AT_ONCE])
    return left


def find_differing(repo: Repository, changes: list[FileChange], converting: Git | None = None) -> set[str]:
    """Returns the paths whose files differ from the new versions; changes nothing. Arguments: see `update_files`.

    Raises:
        OSError: the disk fails.
    """
    checkout = _Checkout(repo, converting)
    return {c.path for c in changes for seen in _observe(checkout, c.folder, [c]) if not seen.is_new}


def _update_some(checkout: _Checkout, folder: tuple[str, ...], changes: list[FileChange]) -> set[str]:
    wanted: list[_ObservedFile] = []
    left: set[str] = set()
    for seen in _observe(checkout, folder, changes):
        if seen.is_old:
            wanted.append(seen)
        elif not seen.is_new:
            left.add(seen.change.path)
    replaced = [seen for seen in wanted if seen.change.new]
    left |= _replace_files(checkout, folder, replaced) if replaced else set()
    removed = [seen for seen in wanted if not seen.change.new]
    return left | _remove_files(checkout, folder, removed) if removed else left


def _remove_files(checkout: _Checkout, folder: tuple[str, ...], wanted: list[_ObservedFile]) -> set[str]:
    """Removes files, unless they were saved after they were read, and folders that are empty then, as git does.

    Returns the paths of the files that stay.
    """
    root, saved = checkout.repo.root, set[str]()
    try:
        with naming(root.joinpath(*folder)), directory(root, folder) as parent:
            for seen in wanted:
                if _read_stamp(parent, seen.change.name) == seen.stamp:
                    os.unlink(seen.change.name, dir_fd=parent)
                else:
                    saved.add(seen.change.path)
    except OSError as error:
        if not is_at_the_path(error):
            raise
        return {seen.change.path for seen in wanted}
    with suppress(OSError):  # a folder that has other files in it stays
        for depth in range(len(folder), 0, -1):
            with directory(root, folder[: depth - 1]) as above:
                os.rmdir(folder[depth - 1], dir_fd=above)
    return saved


def _replace_files(checkout: _Checkout, folder: tuple[str, ...], wanted: list[_ObservedFile]) -> set[str]:
    """Replaces files, unless they were saved after they were read; returns the paths of those that were."""
    seen_as = {seen.change.name: seen for seen in wanted}
    saved: set[str] = set()

    def is_unsaved(name: str) -> bool:
        same = _read_stamp(parent, name) == seen_as[name].stamp
        if not same:
            saved.add(seen_as[name].change.path)
        return same

    try:
        with (
            naming(checkout.repo.root.joinpath(*folder)),
            directory(checkout.repo.root, folder, create=True) as parent,
            replacing_all(parent, tuple(seen_as), is_unsaved) as written,
        ):
            for seen, descriptor in zip(wanted, written, strict=True):
                _write_new(checkout, seen.change, descriptor)
    except OSError as error:
        if not is_at_the_path(error):
            raise
        # a folder of the path is a link or a file of the user's
        return {seen.change.path for seen in wanted}
    return saved


def drop_all_remains(repo: Repository, paths: tuple[str, ...]) -> None:
    """Removes the temporary files that a killed run has left."""
    folders: dict[str, list[str]] = {}
    for path in paths:
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, []).append(name)
    for folder, names in folders.items():
        parts = tuple(filter(None, folder.split("/")))
        try:
            with naming(repo.root / folder), directory(repo.root, parts) as parent:
                for name in names:
                    drop_remains(parent, name)
        except OSError as error:
            if not is_at_the_path(error):
                raise


def _observe(checkout: _Checkout, folder: tuple[str, ...], changes: list[FileChange]) -> list[_ObservedFile]:
    """Returns the states of some files of one folder."""
    try:
        with naming(checkout.repo.root.joinpath(*folder)), directory(checkout.repo.root, folder) as parent:
            # The stamp first, so that a later save is detected.
            stamps = [_read_stamp(parent, change.name) for change in changes]
            return [
                _ObservedFile(c, _read_state(checkout, parent, c), s)
                for c, s in zip(changes, stamps, strict=True)
            ]
    except FileNotFoundError:
        return [_ObservedFile(change, _FileState.ABSENT) for change in changes]
    except OSError as error:
        if not is_at_the_path(error):
            raise
        return [_ObservedFile(change, _FileState.OTHER) for change in changes]


def _read_stamp(parent: int, name: str) -> _Stamp:
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _read_state(checkout: _Checkout, parent: int, change: FileChange) -> _FileState:
    try:
        with regular_file_in(parent, change.name) as (descriptor, _):
            here = {checkout.repo.objects.writer.hash_fd(descriptor)}
            if change.converted and checkout.converting and here.isdisjoint({change.old, change.new}):
                os.lseek(descriptor, 0, os.SEEK_SET)
                here = {_name_converted(checkout.converting, descriptor, change.path)}
    except FileNotFoundError:
        return _FileState.ABSENT
    except OSError as error:
        if not is_at_the_path(error):
            raise
        return _FileState.OTHER
    if change.new in here:
        return _FileState.NEW
    return _FileState.OLD if change.old in here else _FileState.OTHER


def _name_converted(git: Git, descriptor: int, path: str) -> str:
    return git.run("hash-object", "--stdin", f"--path={path}", input=descriptor).stdout.decode().strip()


def _write_new(checkout: _Checkout, change: FileChange, descriptor: int) -> None:
    if change.converted and checkout.converting:
        checkout.converting.run_to_fd(
            descriptor, "cat-file", "--filters", f"--path={change.path}", change.new
        )
    else:
        checkout.repo.objects.copy_to_fd(change.new, descriptor)
