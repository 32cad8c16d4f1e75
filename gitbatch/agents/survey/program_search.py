"""Finding programs on PATH, and never one that a repository brings along."""

import os
from pathlib import Path

from msgspec import Struct


class SkippedFolder(Struct, frozen=True):
    """A folder on PATH in which no program is looked for."""

    folder: str
    reason: str


class ProgramSearch(Struct, frozen=True):
    """The folders on PATH in which programs are looked for."""

    folders: tuple[Path, ...]
    skipped: tuple[SkippedFolder, ...]
    checkout: Path
    """The repository, with symlinks resolved: no program in it is started."""

    @classmethod
    def from_path(cls, path: str, checkout: Path) -> "ProgramSearch":
        """Sorts the folders of a PATH: a relative one, and one inside the checkout, are skipped."""
        root = Path(os.path.realpath(checkout))
        folders, skipped = dict[Path, None](), dict[str, str]()
        for folder in path.split(":"):
            if not folder.startswith("/"):
                skipped[folder or "."] = "it is relative"
            elif _is_inside(Path(folder), root):
                skipped[folder] = "it is in the repository"
            else:
                folders[Path(folder)] = None
        return cls(tuple(folders), tuple(SkippedFolder(*each) for each in skipped.items()), root)

    def find_program(self, name: str) -> Path | None:
        """Returns the first program of a name; None if it is not found outside of the repository."""
        files = (folder / name for folder in self.folders)
        return next(
            (file for file in files if _is_program(file) and not _is_inside(file, self.checkout)), None
        )

    def may_start(self, file: Path) -> bool:
        """Returns whether a program is outside of the repository, by its path and by its symlinks."""
        return file.is_absolute() and not _is_inside(file, self.checkout)

    @property
    def path(self) -> str:
        """The PATH of the folders that are left."""
        return ":".join(map(str, self.folders))


def _is_program(file: Path) -> bool:
    return os.path.isfile(file) and os.access(file, os.X_OK)  # noqa: PTH113 - Path.is_file raises for a loop


def _is_inside(path: Path, root: Path) -> bool:
    """Whether a path is in a folder, by its name or by its symlinks."""
    return path.is_relative_to(root) or Path(os.path.realpath(path)).is_relative_to(root)
