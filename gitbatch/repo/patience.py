"""Waits for a git command that may itself wait for a person: with a notice, a limit, and a way to stop."""

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from msgspec import Struct, field

from gitbatch.errors import GitError

_SET_CHILD_SUBREAPER = 36
"""An option of prctl(2)."""
_LOOK = 0.1
"""Seconds between two checks of a command that may wait for a person."""


class Patience(Struct, frozen=True):
    """The limits of waiting for a command that may itself wait for a person."""

    notice: float = 10.0
    """Seconds after which `tell` is called."""
    limit: float = 120.0
    """Seconds after which the command is killed."""
    tell: Callable[[], None] = lambda: None
    stop: threading.Event = field(default_factory=threading.Event)
    """When it is set, the command is killed at once."""


class UnansweredError(GitError):
    """A git command was killed because it took too long."""

    def __init__(self, argv: tuple[str, ...], limit: float) -> None:
        super().__init__(argv, -signal.SIGKILL, f"no answer within {limit:g} s")


def wait_for(process: "subprocess.Popen[bytes]", stdin: bytes, patience: Patience) -> tuple[bytes, bytes]:
    """Waits for a process to end, and returns its output and its errors.

    Raises:
        TimeoutExpired: it has not ended in time, or `patience.stop` was set.
    """
    began, is_reported, given = time.monotonic(), False, stdin
    while True:
        left = patience.limit - (time.monotonic() - began)
        try:
            return process.communicate(given or None, timeout=max(0.0, min(_LOOK, left)))
        except subprocess.TimeoutExpired:
            waited, given = time.monotonic() - began, b""
            if waited >= patience.limit or patience.stop.is_set():
                raise
            if waited >= patience.notice and not is_reported:
                patience.tell()
                is_reported = True


def end_session(process: "subprocess.Popen[bytes]") -> None:
    """Kills a process that leads a session, with all processes of the session, and reaps them.

    A process whose parent was killed with it is not reaped by the first process of a container if that is not an init.
    """
    with _adopting():
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        except PermissionError:  # macOS: all processes of the group have ended, and were not reaped
            process.kill()
        process.wait()
        _reap_group(process.pid)
    for stream in (process.stdin, process.stdout, process.stderr):
        with suppress(BrokenPipeError):
            if stream:
                stream.close()


@contextmanager
def _adopting() -> Iterator[None]:
    """Makes this process the parent of orphans among its descendants, where the kernel can (Linux)."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is None:
        yield
        return
    prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _reap_group(group: int) -> None:
    """Waits for all children of this process in a process group that was killed."""
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-group, 0)
