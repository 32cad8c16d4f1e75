"""The processes that a test's run has started."""

import os
import signal
from contextlib import suppress
from pathlib import Path

from conftest import Workspace
from waiting import wait_until


def agents_below(workspace: Workspace) -> list[int]:
    """The processes that work below the test's home."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "cwd").readlink().is_relative_to(workspace.home):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def kill_agents(workspace: Workspace) -> None:
    """Kill what works below the test's home, and what it starts meanwhile; some of it ends by itself."""

    def kill_all() -> bool:
        left = agents_below(workspace)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return not left

    wait_until(kill_all, "the agents are gone")


def require_no_agents(workspace: Workspace) -> None:
    """Require that all agents have ended: the kernel takes a moment to remove what was killed."""
    wait_until(lambda: not agents_below(workspace), "the agents have ended")


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
