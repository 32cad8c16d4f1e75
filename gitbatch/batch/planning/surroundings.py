"""The surroundings of a plan: the files that an item could read, and the entries at the paths that it would write.

The same questions are answered from a commit, for a plan that is about to run, and from the disk, for a plan that is not
committed yet. So lint, plan and run give the same diagnostics.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from gitbatch.batch.planning.checkout_files import CheckoutFiles, read_checkout_files
from gitbatch.batch.planning.project_state import ProjectState, find_path_problem
from gitbatch.paths import ancestors, decode_path
from gitbatch.project.snapshot import Listing, Snapshot
from gitbatch.repo.objects.codec import SUBMODULE
from gitbatch.repo.path_rules import Pattern, find_filters, find_ignored
from gitbatch.repo.repository import Repository

_POINTER_BYTES = 1024
"""A Git LFS pointer is smaller than this."""


class Surroundings(Protocol):
    """The questions about a plan's surroundings. Paths are repository paths."""

    @property
    def snapshot(self) -> Snapshot:
        """Returns the files of this repository."""
        ...

    def submodule_of(self, path: str) -> str | None:
        """Returns the submodule that a path is in or names, or None."""
        ...

    def nested_repository_of(self, path: str) -> str | None:
        """Returns the nested repository, other than a submodule, that a path is in, or None."""
        ...

    def find_path_problem(self, path: str) -> str | None:
        """Returns why a file cannot be written at a path, or None."""
        ...

    def has_file(self, path: str) -> bool:
        """Whether a file exists."""
        ...

    def find_ignored(self, paths: Iterable[str]) -> Mapping[str, Pattern]:
        """Returns, for each untracked path that is ignored, the pattern that ignores it."""
        ...

    def find_filters(self, paths: Iterable[str]) -> Mapping[str, str]:
        """Returns the filter of each path that is stored by one."""
        ...


class CommitSurroundings(Struct, frozen=True):
    """The surroundings in a commit. `followed`: the checkout is on the branch, so outputs are written there too."""

    repo: Repository
    project_state: ProjectState
    followed: bool

    @property
    def snapshot(self) -> Snapshot:
        """Returns the files of the commit."""
        return self.project_state.snapshot

    def submodule_of(self, path: str) -> str | None:
        """Returns the submodule that a path is in or names, or None."""
        for above in (*ancestors(path), path):
            entry = self.repo.objects.find_entry(self.project_state.tree, above)
            if entry and entry.mode == SUBMODULE:
                return above
        return None

    def nested_repository_of(self, path: str) -> str | None:
        """Returns the nested repository in the checkout, other than a submodule, that a path is in, or None."""
        found = nested_repository(self.repo.root, path) if self.followed else None
        return None if found and self.submodule_of(path) else found

    def find_path_problem(self, path: str) -> str | None:
        """Returns why a file cannot be written at a path, or None."""
        return find_path_problem(self.project_state, path)

    def has_file(self, path: str) -> bool:
        """Whether the commit has a file."""
        return self.snapshot.blob(path) is not None

    def find_ignored(self, paths: Iterable[str]) -> Mapping[str, Pattern]:
        """Returns, for each path that is ignored and not in the commit, the pattern that ignores it."""
        return find_ignored(
            self.repo, self.project_state.tree, (path for path in paths if not self.has_file(path))
        )

    def find_filters(self, paths: Iterable[str]) -> Mapping[str, str]:
        """Returns the filter of each path that is stored by one; lfs only if the blob can be a pointer."""
        found = find_filters(self.repo, self.project_state.tree, paths)
        return {path: name for path, name in found.items() if name != "lfs" or self._is_pointer(path)}

    def _is_pointer(self, path: str) -> bool:
        """Whether a blob can be a Git LFS pointer, by its size alone: no content is read (rule O1)."""
        oid = self.snapshot.blob(path)
        size = self.repo.objects.read_size(oid) if oid else None
        return size is None or size < _POINTER_BYTES


class DiskSurroundings(Struct, frozen=True):
    """The surroundings on the disk."""

    repo: Repository
    tracked: frozenset[str]
    """The paths of the index."""
    submodules: frozenset[str]
    snapshot: "OwnFiles"

    @classmethod
    def of_checkout(cls, repo: Repository) -> "DiskSurroundings":
        """Returns the surroundings in a repository's checkout."""
        staged = decode_path(repo.git.run("ls-files", "--stage", "-z").stdout).split("\0")
        tracked = frozenset(line.partition("\t")[2] for line in staged)
        found = frozenset(line.partition("\t")[2] for line in staged if line.startswith(f"{SUBMODULE} "))
        return cls(repo, tracked, found, OwnFiles(read_checkout_files(repo), found))

    def submodule_of(self, path: str) -> str | None:
        """Returns the submodule that a path is in or names, or None."""
        return next((above for above in (*ancestors(path), path) if above in self.submodules), None)

    def nested_repository_of(self, path: str) -> str | None:
        """Returns the nested repository, other than a submodule, that a path is in, or None."""
        return None if self.submodule_of(path) else nested_repository(self.repo.root, path)

    def find_path_problem(self, path: str) -> str | None:
        """Returns why a file cannot be written at a path, or None."""
        for above in (*ancestors(path), path):
            folder = self.repo.root / above
            if above in self.submodules:
                return f"{above} is a submodule"
            if folder.is_symlink():
                return f"{above} is a symlink"
            if folder.exists() and folder.is_dir() == (above == path):
                return f"{above} is a {'folder' if above == path else 'file'}"
        return None

    def has_file(self, path: str) -> bool:
        """Whether a file exists, or is tracked and left out by a sparse checkout."""
        return path in self.tracked or os.path.lexists(self.repo.root / path)

    def find_ignored(self, paths: Iterable[str]) -> Mapping[str, Pattern]:
        """Returns, for each untracked path that is ignored, the pattern that ignores it."""
        return find_ignored(self.repo, None, paths)

    def find_filters(self, paths: Iterable[str]) -> Mapping[str, str]:
        """Returns the filter of each path that will be stored by one; only a commit shows whether as a pointer."""
        return find_filters(self.repo, None, paths)


class OwnFiles(Struct, frozen=True):
    """The files of a checkout that a commit of this repository could contain: a `project.snapshot.Snapshot`."""

    checkout: CheckoutFiles
    submodules: frozenset[str]

    def blob(self, path: str) -> str | None:
        """Returns an id of a file's content; None if the file does not exist."""
        return self.checkout.blob(path) if self._is_own(path) else None

    def read(self, path: str) -> bytes | None:
        """Returns the content of the file at `path`, or None."""
        return self.checkout.read(path) if self._is_own(path) else None

    def files(self, folder: str) -> tuple[str, ...]:
        """Returns the paths of all files below a folder."""
        return tuple(filter(self._is_own, self.checkout.files(folder)))

    def list_folder(self, folder: str) -> Listing:
        """Returns the names in a folder."""
        found, prefix = self.checkout.list_folder(folder), f"{folder}/" if folder else ""
        return Listing(
            tuple(name for name in found.files if self._is_own(f"{prefix}{name}")),
            tuple(name for name in found.folders if self._is_own(f"{prefix}{name}")),
        )

    def _is_own(self, path: str) -> bool:
        return not (self.submodules & {*ancestors(path), path} or nested_repository(self.checkout.root, path))


def nested_repository(root: Path, path: str) -> str | None:
    """Returns the outermost folder of a path that is a repository of its own, if any."""
    return next((above for above in (*ancestors(path), path) if _is_repository(f"{root}/{above}")), None)


def _is_repository(folder: str) -> bool:
    """Whether a folder is a repository; asked twice for each folder above each file of a plan, so as a string."""
    return os.path.isfile(f"{folder}/.git") or os.path.isfile(f"{folder}/.git/HEAD")  # noqa: PTH113
