"""The source of a project's files: one commit, not the disk.

Agents and the user can change the disk at any time; a commit does not change.
"""

from typing import Protocol

from msgspec import Struct


class Listing(Struct, frozen=True):
    """The names of what is directly in a folder, in order."""

    files: tuple[str, ...] = ()
    """Regular files."""
    folders: tuple[str, ...] = ()


class Snapshot(Protocol):
    """The files of one commit."""

    def blob(self, path: str) -> str | None:
        """Returns the object id of the regular file at `path`, or None."""
        ...

    def read(self, path: str) -> bytes | None:
        """Returns the content of the regular file at `path`, or None. For control files only."""
        ...

    def files(self, folder: str) -> tuple[str, ...]:
        """Returns the paths of all regular files below a folder; empty if the folder does not exist."""
        ...

    def list_folder(self, folder: str) -> Listing:
        """Returns the names in a folder (empty: the top folder), without reading what is below its folders."""
        ...
