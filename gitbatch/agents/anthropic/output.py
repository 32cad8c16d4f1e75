"""The one file that the model can write: in its worktree, whole or not at all, without following a link."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from gitbatch.fs.nofollow import directory, read_small

LARGEST = 16 * 1024 * 1024
"""Bytes that a write may have: edits could double a file again and again."""


class OutputFile(Struct, frozen=True):
    """The assigned path below the worktree; nothing else can be named."""

    worktree: Path
    path: str

    def read(self) -> bytes | None:
        """What it has now; None: it is not there.

        Raises:
            OSError: what is there is no regular file.
        """
        try:
            return read_small(self.worktree, self.path, LARGEST)
        except FileNotFoundError:
            return None

    def write(self, content: bytes) -> None:
        """Put a new content in the place of the old one, in one step.

        Raises:
            OSError: it can't be written.
        """
        *parents, name = self.path.split("/")
        with directory(self.worktree, tuple(parents), create=True) as folder:
            temporary = f".gitbatch-{secrets.token_hex(8)}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, 0o644, dir_fd=folder)
            try:
                with os.fdopen(descriptor, "wb") as stream:
                    stream.write(content)
                os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=folder)
                raise
