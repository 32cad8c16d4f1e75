"""One gitbatch at a time in a repository."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from filelock import FileLock, Timeout

from gitbatch.errors import BusyError, GitbatchError
from gitbatch.repo.repository import Repository
from gitbatch.text import plain


@contextmanager
def repository_lock(repo: Repository) -> Iterator[None]:
    """Hold the repository's lock; it is the operating system's, so it is gone when the process is.

    Raises:
        BusyError: another gitbatch holds it.
        GitbatchError: the repository can't be written to.
    """
    holder = repo.own_dir / "holder"
    try:
        repo.own_dir.mkdir(exist_ok=True)
        lock = FileLock(repo.own_dir / "lock")
        lock.acquire(blocking=False)
    except Timeout as error:
        raise BusyError(
            f"another gitbatch is at work in {repo.name}{_holder(holder.read_text)}",
            "wait for it to end, or look at it with: gitbatch status",
        ) from error
    except OSError as error:
        raise GitbatchError(
            f"{repo.own_dir} can't be written: {error.strerror}",
            "make the repository's .git writable for you",
        ) from error
    try:
        holder.write_text(
            f"process {os.getpid()}, since {time.strftime('%Y-%m-%d %H:%M:%S')}", encoding="utf-8"
        )
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _holder(read: "object") -> str:
    with suppress(OSError, UnicodeDecodeError):
        return f" ({plain(read())})" if callable(read) else ""
    return ""
