"""A project's files on the disk: for checking a plan before it is committed, never for running it."""

import hashlib
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from gitbatch.project.snapshot import Listing


class DiskSnapshot(Struct, frozen=True):
    """The files below a folder: a `project.snapshot.Snapshot`."""

    root: Path

    def blob(self, path: str) -> str | None:
        """Returns an id of a file's content; None if the file does not exist."""
        content = self.read(path)
        return None if content is None else hashlib.sha256(content).hexdigest()

    def read(self, path: str) -> bytes | None:
        """Returns the content of the file at `path`, or None."""
        with suppress(OSError, ValueError):  # a NUL in a path is a ValueError
            return (self.root / path).read_bytes()
        return None

    def files(self, folder: str) -> tuple[str, ...]:
        """Returns the paths of all files below a folder."""
        with suppress(OSError, ValueError):
            found = sorted(path for path in (self.root / folder).rglob("*") if path.is_file())
            return tuple(path.relative_to(self.root).as_posix() for path in found)
        return ()

    def list_folder(self, folder: str) -> Listing:
        """Returns the names in a folder."""
        with suppress(OSError, ValueError):
            found = sorted(path for path in (self.root / folder).iterdir() if path.name != ".git")
            return Listing(
                tuple(path.name for path in found if path.is_file()),
                tuple(path.name for path in found if path.is_dir()),
            )
        return Listing()
