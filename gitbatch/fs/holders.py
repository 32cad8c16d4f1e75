"""Finds processes that have a folder open, as far as the system shows them (Linux)."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_PROCESSES = Path("/proc")


def is_in_use(folder: Path) -> bool:
    """Returns whether a process works in a folder or has a file below it open; true if the system does not show that.

    Processes of other users are not shown to an ordinary user.
    """
    inside = (os.fspath(folder), f"{folder}/")
    if not os.path.islink(_PROCESSES / "self/cwd"):  # noqa: PTH114 - as a string below
        return True
    return any(name == inside[0] or name.startswith(inside[1]) for name in _list_open_files())


def _list_open_files() -> Iterator[str]:
    """Yields the current folders and the open files of all processes."""
    with os.scandir(_PROCESSES) as processes:
        for process in processes:
            if process.name.isdigit():
                with suppress(OSError), os.scandir(f"{process.path}/fd") as files:
                    yield from map(_read_link, (f"{process.path}/cwd", *(file.path for file in files)))


def _read_link(link: str) -> str:
    """Returns the target of a link; empty if it is gone. As a string, as there are thousands."""
    try:
        return os.readlink(link)  # noqa: PTH115 - as above
    except OSError:
        return ""
