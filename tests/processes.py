"""The processes that a test's run has started."""

import os
from contextlib import suppress
from pathlib import Path

from conftest import Place


def agents_below(place: Place) -> list[int]:
    """The processes that work below the test's home."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(place.home):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def processes_below(ancestor: int) -> dict[int, tuple[str, int]]:
    """The name and the process group of each process that another has started; those that end meanwhile are left out."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and is_below(pid := int(entry.name), ancestor):
            with suppress(OSError):
                found[pid] = (entry / "comm").read_text(encoding="utf-8").strip(), os.getpgid(pid)
    return found


def is_below(pid: int, ancestor: int) -> bool:
    """Whether a process is a child of another, or a child's child."""
    while pid > 1:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return False
        pid = int(stat.rpartition(")")[2].split()[1])
        if pid == ancestor:
            return True
    return False
