"""Remembers, from one run to the next, that overlay worktrees worked here: a trial of one takes longer than an item.

Only that they worked is remembered, and each memory is used once: the run that uses it writes it again when an agent
has worked in such a worktree. So where it is wrong, that run's items fail with the kernel's reason, and the next run
makes a trial. Nothing that protects anybody depends on it, as a process without a sandbox can write the file: the
launcher checks in any case that the overlay is mounted before a program starts.
"""

import hashlib
import os
import platform
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gitbatch import __version__
from gitbatch.sandbox.model import SandboxKind

_LONGEST = 24 * 3600.0
"""Seconds for which it is remembered."""
_PREFIX = "overlay-"
_KERNEL = (
    "/proc/sys/kernel/random/boot_id",
    "/proc/sys/kernel/unprivileged_userns_clone",
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    "/proc/sys/kernel/seccomp/actions_logged",
    "/proc/sys/user/max_user_namespaces",
    "/proc/sys/user/max_mnt_namespaces",
    "/proc/sys/user/max_pid_namespaces",
    "/proc/self/attr/current",
    "/proc/self/uid_map",
    "/proc/self/gid_map",
)
"""The files of the kernel that say what it lets this process do, and which start of the machine this is."""
_NAMESPACES = ("mnt", "pid", "user")
_RIGHTS = (b"Cap", b"NoNewPrivs", b"Seccomp", b"Groups", b"Umask")
"""The beginnings of the lines of /proc/self/status about the same."""


class TrialMemory:
    """What is remembered of trials, in a folder of the cache. `now`: seconds since the epoch, if not the present."""

    def __init__(self, folder: Path, now: float | None = None) -> None:
        self.folder = folder
        self.now = time.time() if now is None else now
        self._works: set[str] = set()
        """The names of the files of what has worked, by a memory or by a trial."""

    def take(self, kind: SandboxKind, marks: object) -> bool:
        """Returns whether overlays worked lately in a kind of sandbox, and forgets it until `confirm`.

        `marks`: what else an overlay depends on.
        """
        file = self._file_of(kind, marks)
        with suppress(OSError):
            found = file.lstat()
            file.unlink()
            is_ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
            if is_ours and 0 <= self.now - found.st_mtime < _LONGEST:
                self._works.add(file.name)
                return True
        return False

    def note(self, kind: SandboxKind, marks: object) -> None:
        """Notes that a trial has shown that they work."""
        self._works.add(self._file_of(kind, marks).name)

    def confirm(self) -> None:
        """Writes what has worked, now that an agent has worked by it. A cache that cannot be written remembers nothing."""
        if not self._works:
            return
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            for old in self.folder.glob(f"{_PREFIX}*"):
                if self.now - old.lstat().st_mtime >= _LONGEST:
                    old.unlink()
            for name in self._works:
                (self.folder / name).touch()
        self._works.clear()

    def _file_of(self, kind: SandboxKind, marks: object) -> Path:
        parts = (__version__, kind, marks, *_describe_machine(kind))
        return self.folder / (_PREFIX + hashlib.sha256(repr(parts).encode()).hexdigest()[:32])


def _describe_machine(kind: SandboxKind) -> Iterator[object]:
    """Yields everything besides the folders by which a trial could have another result."""
    yield platform.release(), platform.version(), os.geteuid(), os.getegid()
    yield tuple(map(_read_file, _KERNEL))
    status = _read_file("/proc/self/status").splitlines()
    yield [line for line in status if line.startswith(_RIGHTS)]
    for name in _NAMESPACES:
        with suppress(OSError):
            yield os.readlink(f"/proc/self/ns/{name}")  # noqa: PTH115 - no path
    programs = [sys.executable, "/bin/sh"]
    if kind is SandboxKind.BUBBLEWRAP:
        from gitbatch.sandbox.bubblewrap import SEARCH_PATH  # noqa: PLC0415 - not for another kind

        programs.append(shutil.which("bwrap", path=SEARCH_PATH) or "")
    for program in programs:
        with suppress(OSError):
            found = Path(program).stat()
            yield program, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode


def _read_file(path: str) -> bytes:
    """Returns the content of a file; empty where the machine does not have it."""
    with suppress(OSError), open(path, "rb", buffering=0) as file:  # noqa: PTH123 - many small ones
        return file.read(65536)
    return b""
