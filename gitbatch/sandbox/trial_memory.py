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
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from gitbatch import __version__
from gitbatch.sandbox.model import SandboxKind

_LONGEST = 24 * 3600.0
"""Seconds for which it is remembered."""
_PREFIX = "overlay-"
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
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
        self._works: dict[str, SandboxKind | None] = {}
        """The names of the files of what has worked; with a kind, what is only remembered: an agent has to work in it first."""

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
                self._works[file.name] = kind
                return True
        return False

    def note(self, kind: SandboxKind, marks: object, *, is_tried: bool = True) -> None:
        """Notes that they work; `is_tried`: by a trial of now, and not by what is remembered."""
        name = self._file_of(kind, marks).name
        self._works[name] = None if is_tried else self._works.get(name, kind)

    def confirm(self, kind: str) -> None:
        """Writes what trials have shown, and what was remembered of a kind of sandbox, in which an agent has worked now.

        What was remembered of another kind may be wrong: no program has used it. A cache that cannot be written
        remembers nothing.
        """
        names = [name for name, needed in self._works.items() if needed in (None, kind)]
        if not names:
            return
        for name in names:
            del self._works[name]
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                self._write_files(folder, names)
            finally:
                os.close(folder)

    def _write_files(self, folder: int, names: Collection[str]) -> None:
        """Writes new files in an open folder, and removes old ones. No link is followed: another user may own the cache."""
        for old in os.listdir(folder):
            with suppress(OSError):  # a folder
                is_old = self.now - os.lstat(old, dir_fd=folder).st_mtime >= _LONGEST
                if old in names or (is_old and old.startswith(_PREFIX)):
                    os.unlink(old, dir_fd=folder)
        for name in names:
            os.close(os.open(name, _NEW_FILE, 0o600, dir_fd=folder))

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
            # Capabilities of a file change nothing but its ctime.
            yield (
                program,
                found.st_dev,
                found.st_ino,
                found.st_size,
                found.st_ctime_ns,
                found.st_mode,
                found.st_uid,
            )


def _read_file(path: str) -> bytes:
    """Returns the content of a file; empty where the machine does not have it."""
    with suppress(OSError), open(path, "rb", buffering=0) as file:  # noqa: PTH123 - many small ones
        return file.read(65536)
    return b""
