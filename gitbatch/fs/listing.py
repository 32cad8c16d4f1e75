"""Lists folders by name alone: `Path.glob` compiles a pattern for each of its calls, which takes longer than the listing."""

import os
from contextlib import suppress
from pathlib import Path


def list_folder(folder: Path) -> tuple[Path, ...]:
    """Returns what is in a folder, in no order; nothing if it is missing or must not be read, as `Path.glob` does."""
    with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        return tuple(folder / name for name in os.listdir(folder))  # noqa: PTH208 - it makes strings
    return ()
