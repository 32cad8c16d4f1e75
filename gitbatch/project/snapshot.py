"""What the project's files are read from: one commit, never the disk.

An agent, or an unsaved thought of the user, can change the disk at any time; a commit stays what it is.
"""

from typing import Protocol


class Snapshot(Protocol):
    """The files of one commit."""

    def blob(self, path: str) -> str | None:
        """The object id of the regular file at `path`, or None."""
        ...

    def read(self, path: str) -> bytes | None:
        """The content of the regular file at `path`, or None. For control files only."""
        ...

    def files(self, folder: str) -> tuple[str, ...]:
        """The paths of all regular files below a folder; none if there is no such folder."""
        ...
