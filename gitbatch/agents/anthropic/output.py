"""The one file that the model can write: whole or not at all, without following a link."""

from pathlib import Path

from msgspec import Struct

from gitbatch.fs.durable import replacing_unsynced
from gitbatch.fs.layers import file_in_layers
from gitbatch.fs.nofollow import directory

LARGEST = 16 * 1024 * 1024
"""Bytes that a write may have: edits could double a file again and again."""


class OutputFile(Struct, frozen=True):
    """The assigned path below the worktree: no other path can be named."""

    layers: tuple[Path, ...]
    """The folders with the files of the worktree, the uppermost first."""
    path: str

    def read(self) -> bytes | None:
        """Returns its content; None: it does not exist.

        Raises:
            OSError: it is not a regular file.
        """
        try:
            with (
                file_in_layers(self.layers, self.path) as (descriptor, _),
                open(descriptor, "rb", closefd=False) as stream,
            ):
                return stream.read(LARGEST)
        except FileNotFoundError:
            return None

    def write(self, content: bytes) -> None:
        """Replaces its content in one step.

        Raises:
            OSError: it cannot be written.
        """
        *parents, name = self.path.split("/")
        with (
            directory(self.layers[0], tuple(parents), create=True) as folder,
            replacing_unsynced(folder, name, 0o644) as descriptor,
            open(descriptor, "wb", closefd=False) as stream,
        ):
            stream.write(content)
