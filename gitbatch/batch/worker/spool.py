"""The spool of a worker: results that stay until the orchestrator has them in git, whatever is killed meanwhile.

A file has all frames that are sent for a result, as they are sent. It is named by the token of the job, which the
orchestrator derives from what it asks for: after it was killed, it asks for the same token, and is sent the file.
A file next to it is locked while a process works on the job, so that no other process of the machine does so too.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from gitbatch.batch.executor.messages import MOST_SPOOLED
from gitbatch.fs.durable import replacing
from gitbatch.fs.nofollow import directory

_LOCK, _CANCEL = ".lock", ".cancel"
_OLDEST = 60 * 24 * 3600.0
"""Seconds after which a result is removed that no orchestrator has asked for."""
_TOKEN_LENGTH = 32


class Spool(Struct, frozen=True):
    """The results for one repository."""

    folder: Path

    def list_tokens(self) -> tuple[str, ...]:
        """Returns the tokens of the results, the newest last; what is too old is removed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        found = []
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):
                found.append((path.stat().st_mtime, path.name))
        oldest = time.time() - _OLDEST
        for when, name in found:
            if when < oldest:
                self._remove_old(name)
        kept = (name for when, name in sorted(found) if when >= oldest and len(name) == _TOKEN_LENGTH)
        return tuple(kept)[-MOST_SPOOLED:]

    def _remove_old(self, name: str) -> None:
        """Removes a result, or what a job has left that was cancelled or killed, such as its lock."""
        if len(name) == _TOKEN_LENGTH:
            self.forget(name)
        elif not self._is_locked(name.partition(".")[0]):
            (self.folder / name).unlink(missing_ok=True)

    def list_running(self) -> tuple[str, ...]:
        """Returns the tokens of the jobs on which processes work."""
        tokens = (path.name.removesuffix(_LOCK) for path in self.folder.glob(f"*{_LOCK}"))
        return tuple(token for token in tokens if self._is_locked(token))

    def _is_locked(self, token: str) -> bool:
        try:
            descriptor = os.open(self.folder / f"{token}{_LOCK}", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def path_of(self, token: str) -> Path:
        """Returns the path of a result, existing or not."""
        return self.folder / token

    @contextmanager
    def writing(self, token: str) -> Iterator[int]:
        """Yields the descriptor of a new file, which becomes the result, durably, if nothing is raised."""
        with directory(self.folder, ()) as parent, replacing(parent, token) as descriptor:
            yield descriptor

    def forget(self, token: str) -> None:
        """Removes a result."""
        for suffix in ("", _LOCK, _CANCEL):
            (self.folder / f"{token}{suffix}").unlink(missing_ok=True)

    def lock_job(self, token: str) -> int | None:
        """Locks a job for this process, until the descriptor is closed; None: another process works on it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.folder / f"{token}{_LOCK}", flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        self.take_cancel_request(token)  # that of another process, which has ended
        return descriptor

    def ask_to_cancel(self, token: str) -> None:
        """Asks the process that works on a job to end it; nothing is done if none does."""
        if self._is_locked(token):
            with suppress(OSError):  # its disk is full: the job is finished
                (self.folder / f"{token}{_CANCEL}").touch()

    def take_cancel_request(self, token: str) -> bool:
        """Removes the request to cancel a job; false: there was none."""
        try:
            (self.folder / f"{token}{_CANCEL}").unlink()
        except FileNotFoundError:
            return False
        return True
