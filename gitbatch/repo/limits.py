"""Limits the time and the memory of one git process that evaluates untrusted input, such as a regular expression.

The kernel holds the memory limit. But without memory, the matching of a regular expression reports "no match" and git
exits as if it had searched everything; so the memory is also watched, and a process that comes near its limit is killed.
"""

import os
import threading
import time
from math import inf
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import subprocess

_INTERVAL = 0.02
"""Seconds between two checks."""
_NEAR = 0.75
"""The fraction of the limit at which a process is killed."""
_PAGE = os.sysconf("SC_PAGE_SIZE")


def limit_memory(memory: int, argv: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the arguments that start a program with a limit of memory in bytes, where the system can limit it.

    `ulimit` of the shell is on every system, and the program never runs without the limit. It counts what a process
    allocates, not the files that it maps: packs may be larger than that.
    """
    script = 'ulimit -d "$1" 2>/dev/null; shift; exec "$@"'
    return ("sh", "-c", script, "sh", str(memory // 1024), *argv)


class ProcessWatch:
    """Kills a process that takes too long or too much memory (0: no limit), during a `with` block."""

    def __init__(self, process: "subprocess.Popen[bytes]", seconds: float, memory: int) -> None:
        self.has_killed = False
        self._process = process
        self._deadline = time.monotonic() + seconds
        self._most = memory * _NEAR or inf
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while time.monotonic() < self._deadline and read_allocated(self._process.pid) < self._most:
            if self._ended.wait(_INTERVAL):
                return
        self.has_killed = True
        self._process.kill()


def read_allocated(pid: int) -> int:
    """Returns the bytes that a process has allocated; 0 if the system does not report them."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_bytes().split()[5]) * _PAGE
    except (OSError, ValueError, IndexError):
        return 0
