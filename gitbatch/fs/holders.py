"""Finds processes that have a file or a folder open, as far as the system shows them (Linux).

A process may end while it is looked at, and is then none of them.
"""

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
    return any(name == inside[0] or name.startswith(inside[1]) for _, name in _list_open_files())


def find_holders(path: Path) -> tuple[int, ...]:
    """Returns the processes that have a file open, in order, without this one; empty if the system does not show that."""
    wanted = os.path.realpath(path)
    with suppress(FileNotFoundError):
        return tuple(sorted({pid for pid, name in _list_open_files() if name == wanted} - {os.getpid()}))
    return ()


def _list_open_files() -> Iterator[tuple[int, str]]:
    """Yields the current folders and the open files of all processes, each with its process."""
    with os.scandir(_PROCESSES) as processes:
        for process in processes:
            if process.name.isdigit():
                with suppress(OSError), os.scandir(f"{process.path}/fd") as files:
                    links = (f"{process.path}/cwd", *(file.path for file in files))
                    yield from ((int(process.name), _read_link(link)) for link in links)


def _read_link(link: str) -> str:
    """Returns the target of a link; empty if it is gone. As a string, as there are thousands."""
    try:
        return os.readlink(link)  # noqa: PTH115 - as above
    except OSError:
        return ""
