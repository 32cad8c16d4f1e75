"""The file that names the process which holds a repository's lock, for other processes and for people.

The process keeps a lock on the file itself, which the operating system releases when it ends. So a reader learns
whether that process is still alive without touching the repository's own lock, which it might keep from a run that
starts at that moment.
"""

import fcntl
import getpass
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gitbatch.fs.nofollow import regular_file
from gitbatch.text import clean_text

_FILE = "holder"
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
def name_holder(own_dir: Path, folder: Path, verb: str) -> Iterator[None]:
    """Names this process as the holder of the lock, while the caller holds it.

    Raises:
        OSError: the file cannot be written.
    """
    holder = Holder(str(folder), os.getpid(), _user_name(), socket.gethostname(), time.time(), verb)
    path = own_dir / _FILE
    path.unlink(missing_ok=True)  # of a process that was killed
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
    with suppress(OSError, msgspec.DecodeError), regular_file(own_dir, _FILE) as (file, _):
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
