"""The files of the user's checkout that follow the branch: those that are as the old versions were.

Each is written beside the old one, and takes its place when it is on the disk: those of one folder are brought there
at the same time. A file that the user saves meanwhile stays. What stands at a path in place of a file or a folder is
the user's, too; an error of the disk is not, and is raised: whoever asks again, when the disk is well, has the rest
follow.
"""

import os
from enum import Enum, auto

from msgspec import Struct

from gitbatch.fs.disk import is_at_the_path, naming
from gitbatch.fs.durable import drop_remains, replacing_all
from gitbatch.fs.nofollow import directory, regular_file_in
from gitbatch.repo.process import Git
from gitbatch.repo.repository import Repository

_AT_ONCE = 100
"""Files that are open at the same time."""
_Stamp = tuple[int, int, int] | None
"""By which a file is known not to have been saved since; None: there is none."""


class _FileState(Enum):
    ABSENT = auto()
    OLD = auto()
    NEW = auto()
    OTHER = auto()


class FileChange(Struct, frozen=True):
    """A path that is to follow from one blob to another."""

    path: str
    old: str | None
    new: str
    converted: bool = False
    """The file has other line ends than the blob, or the like."""
    skipped: bool = False
    """A sparse checkout leaves it out."""

    @property
    def folder(self) -> tuple[str, ...]:
        """The parts of the path of its folder."""
        return tuple(self.path.split("/")[:-1])

    @property
    def name(self) -> str:
        """Its name in its folder."""
        return self.path.rpartition("/")[2]


class _Places(Struct, frozen=True):
    """Where files come from and go to."""

    repo: Repository
    converting: Git | None


class _ObservedFile(Struct, frozen=True):
    """What was there when it was looked at."""

    change: FileChange
    state: _FileState
    stamp: _Stamp = None

    @property
    def is_old(self) -> bool:
        """Whether it is as the old version was, and is to follow."""
        if self.change.skipped and self.state is _FileState.ABSENT:
            return False
        return self.state is (_FileState.ABSENT if self.change.old is None else _FileState.OLD)

    @property
    def is_new(self) -> bool:
        """Whether there is nothing to do."""
        return self.state is _FileState.NEW or (self.change.skipped and self.state is _FileState.ABSENT)


def follow_files(repo: Repository, changes: list[FileChange], converting: Git | None = None) -> set[str]:
    """Replace those files that are as the old versions were. Returns the paths that are not as the new ones now.

    Args:
        repo: the repository.
        changes: the paths that changed.
        converting: a git that converts files by the attributes that hold; see `private_dir.py`. None: none is converted.

    Raises:
        OSError: the disk fails; some files may have followed.
    """
    places = _Places(repo, converting)
    folders: dict[tuple[str, ...], list[FileChange]] = {}
    for change in changes:
        folders.setdefault(change.folder, []).append(change)
    left: set[str] = set()
    for folder, inside in folders.items():
        for start in range(0, len(inside), _AT_ONCE):
            left |= _follow_some(places, folder, inside[start : start + _AT_ONCE])
    return left


def differing(repo: Repository, changes: list[FileChange], converting: Git | None = None) -> set[str]:
    """The paths whose files are not as the new versions are; nothing is changed. Arguments: see `follow_files`.

    Raises:
        OSError: the disk fails.
    """
    places = _Places(repo, converting)
    return {c.path for c in changes for seen in _look(places, c.folder, [c]) if not seen.is_new}


def _follow_some(places: _Places, folder: tuple[str, ...], changes: list[FileChange]) -> set[str]:
    wanted: list[_ObservedFile] = []
    left: set[str] = set()
    for seen in _look(places, folder, changes):
        if seen.is_old:
            wanted.append(seen)
        elif not seen.is_new:
            left.add(seen.change.path)
    return left | _replace(places, folder, wanted) if wanted else left


def _replace(places: _Places, folder: tuple[str, ...], wanted: list[_ObservedFile]) -> set[str]:
    """Replace files, unless they were saved since they were looked at; returns the paths of those that were."""
    seen_as = {seen.change.name: seen for seen in wanted}
    saved: set[str] = set()

    def still(name: str) -> bool:
        same = _stamp(parent, name) == seen_as[name].stamp
        if not same:
            saved.add(seen_as[name].change.path)
        return same

    try:
        with (
            naming(places.repo.root.joinpath(*folder)),
            directory(places.repo.root, folder, create=True) as parent,
            replacing_all(parent, tuple(seen_as), still) as written,
        ):
            for seen, descriptor in zip(wanted, written, strict=True):
                _pour(places, seen.change, descriptor)
    except OSError as error:
        if not is_at_the_path(error):
            raise
        # a folder on the way is a link or a file of the user's
        return {seen.change.path for seen in wanted}
    return saved


def drop_all_remains(repo: Repository, paths: tuple[str, ...]) -> None:
    """Remove what a run that was killed here has left beside files."""
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


def _look(places: _Places, folder: tuple[str, ...], changes: list[FileChange]) -> list[_ObservedFile]:
    """What is there of some files of one folder."""
    try:
        with naming(places.repo.root.joinpath(*folder)), directory(places.repo.root, folder) as parent:
            # The stamp first: what is saved after it is noticed.
            stamps = [_stamp(parent, change.name) for change in changes]
            return [
                _ObservedFile(c, _state(places, parent, c), s) for c, s in zip(changes, stamps, strict=True)
            ]
    except FileNotFoundError:
        return [_ObservedFile(change, _FileState.ABSENT) for change in changes]
    except OSError as error:
        if not is_at_the_path(error):
            raise
        return [_ObservedFile(change, _FileState.OTHER) for change in changes]


def _stamp(parent: int, name: str) -> _Stamp:
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _state(places: _Places, parent: int, change: FileChange) -> _FileState:
    try:
        with regular_file_in(parent, change.name) as (descriptor, _):
            here = {places.repo.objects.writer.hash_fd(descriptor)}
            if change.converted and places.converting and here.isdisjoint({change.old, change.new}):
                os.lseek(descriptor, 0, os.SEEK_SET)
                here = {_name_converted(places.converting, descriptor, change.path)}
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


def _pour(places: _Places, change: FileChange, descriptor: int) -> None:
    if change.converted and places.converting:
        places.converting.run_to_fd(descriptor, "cat-file", "--filters", f"--path={change.path}", change.new)
    else:
        places.repo.objects.copy_to_fd(change.new, descriptor)
