"""The file that names the process which holds a repository's lock, for other processes and for people.

A run that has given the lock back, and waits for a person, has a file of its own (`waiting-PROCESS`). The process keeps a lock on the file itself, which the operating system releases when it ends. So a reader learns
whether that process is still alive without touching the repository's own lock, which it might keep from a run that
starts at that moment.
"""

import fcntl
import getpass
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gitbatch.fs.nofollow import regular_file
from gitbatch.text import clean_text

_FILE = "holder"
_WAITING = "waiting-"
_BYTES = 16384
"""The most bytes of the file: each of its two paths may have 4,096, and JSON may need more."""


class Holder(Struct, frozen=True):
    """The process that holds the lock of a repository."""

    folder: str
    """The top folder of the checkout that it runs in."""
    process: int
    user: str
    host: str
    since: float
    """Seconds since the epoch: when it took the lock."""
    verb: str = "run"
    """The command that needs the lock."""
    plan: str = ""
    """The plan that it runs, once that is known."""

    def __str__(self) -> str:
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.since))
        text = f"{self.folder} (process {self.process} of {self.user} on {self.host}, since {began})"
        runs = f": it runs {self.plan}" if self.plan else ""
        return clean_text(f"{text}{runs}", _BYTES)  # an agent without a sandbox can write the file


@contextmanager
def name_holder(own_dir: Path, folder: Path, verb: str, since: float | None = None) -> Iterator[None]:
    """Names this process as the holder of the lock, while the caller holds it.

    Args:
        own_dir: gitbatch's own folder in the repository.
        folder: the top folder of the checkout.
        verb: the command that needs the lock.
        since: when the run began, if it takes the lock again (seconds since the epoch); None: now.

    Raises:
        OSError: the file cannot be written.
    """
    began = time.time() if since is None else since
    holder = Holder(
        os.fsencode(folder).decode(errors="replace"),
        os.getpid(),
        _user_name(),
        socket.gethostname(),
        began,
        verb,
    )
    path = own_dir / _FILE
    path.unlink(missing_ok=True)  # of a process that was killed
    with _write_locked(path, holder):
        yield


@contextmanager
def name_waiting(own_dir: Path, holder: Holder) -> Iterator[None]:
    """Names this process, as it held the lock, while it waits for a person. Nothing depends on it but what others are shown."""
    with suppress(OSError):
        for path in own_dir.glob(f"{_WAITING}*"):
            if not _read_locked(own_dir, path.name):  # of a process that was killed
                path.unlink(missing_ok=True)
    with ExitStack() as named:
        with suppress(OSError):
            named.enter_context(_write_locked(own_dir / f"{_WAITING}{holder.process}", holder))
        yield


@contextmanager
def _write_locked(path: Path, holder: Holder) -> Iterator[None]:
    """Writes a file that names this process, and keeps a lock on it."""
    with path.open("xb") as file:  # not synced: after a power cut the lock is free
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(msgspec.json.encode(holder))
        file.flush()
        try:
            yield
        finally:
            with suppress(OSError):  # not needed: the lock counts, and the next holder replaces the file
                path.unlink(missing_ok=True)


def name_plan(own_dir: Path, plan: str) -> None:
    """Lets others read which plan this process runs, while it holds the lock."""
    with suppress(OSError, msgspec.DecodeError):  # only the message of another process needs it
        file = os.open(own_dir / _FILE, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            holder = msgspec.json.decode(os.pread(file, _BYTES, 0), type=Holder)
            if holder.process == os.getpid():
                os.pwrite(file, msgspec.json.encode(replace(holder, plan=plan)), 0)
        finally:
            os.close(file)


def read_holder(own_dir: Path) -> Holder | None:
    """Returns the process that holds the lock; None if none does, or if it cannot be known."""
    return _read_locked(own_dir, _FILE)


def read_waiting(own_dir: Path) -> tuple[Holder, ...]:
    """Returns the processes that have given the lock back and wait for a person, the oldest first."""
    with suppress(OSError):
        found = (_read_locked(own_dir, path.name) for path in own_dir.glob(f"{_WAITING}*"))
        return tuple(sorted(filter(None, found), key=lambda holder: holder.since))
    return ()


def _read_locked(own_dir: Path, name: str) -> Holder | None:
    with suppress(OSError, msgspec.DecodeError), regular_file(own_dir, name) as (file, _):
        if _is_locked(file):
            return msgspec.json.decode(os.read(file, _BYTES), type=Holder)
    return None


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        return f"user {os.geteuid()}"
