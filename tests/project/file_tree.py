"""A tree of files as a commit has it: what `project/` reads from, without a repository."""

import hashlib
from collections.abc import Mapping

from gitbatch.project.snapshot import Listing


class FileTree:
    """A `Snapshot` made of paths and their text; what is no path in it is not there."""

    def __init__(self, files: Mapping[str, str | bytes]) -> None:
        self._files = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}

    def blob(self, path: str) -> str | None:
        source = self._files.get(path)
        return None if source is None else blob_of(source)

    def read(self, path: str) -> bytes | None:
        return self._files.get(path)

    def files(self, folder: str) -> tuple[str, ...]:
        return tuple(sorted(path for path in self._files if path.startswith(f"{folder}/")))

    def list_folder(self, folder: str) -> Listing:
        prefix = f"{folder}/" if folder else ""
        below = {path.removeprefix(prefix) for path in self._files if path.startswith(prefix)}
        return Listing(
            tuple(sorted(name for name in below if "/" not in name)),
            tuple(sorted({name.partition("/")[0] for name in below if "/" in name})),
        )


def blob_of(source: bytes) -> str:
    """The object id that git gives a content."""
    return hashlib.sha1(b"blob %d\0" % len(source) + source, usedforsecurity=False).hexdigest()
