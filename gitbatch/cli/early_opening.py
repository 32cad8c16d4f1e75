"""Opening the repository of a command in a thread, while Python imports what the command needs: git needs no Python.

The thread also makes trials of what the kernel allows, by programs that the command would wait for later.
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from gitbatch.repo.childless import prepare_childless
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository


class EarlyOpening:
    """A repository that is being opened."""

    def __init__(self, directory: Path, *, has_sandbox: bool = False) -> None:
        """Begins; `has_sandbox`: finds out too if bubblewrap works here, which the best sandbox needs."""
        self.environment = dict(os.environ)
        """That of the process before the repository was opened, which removes git's variables."""
        thread = ThreadPoolExecutor(1, "opening")
        self._answer = thread.submit(open_repository, directory)
        thread.submit(prepare_childless)
        if has_sandbox and sys.platform == "linux":
            thread.submit(_begin_trial)
        thread.shutdown(wait=False)

    @contextmanager
    def wait_for_repository(self) -> Iterator[Repository]:
        """Yields the repository, and closes it.

        Raises:
            GitbatchError: it cannot be opened.
        """
        repo = self._answer.result()
        try:
            yield repo
        finally:
            repo.close()


def _begin_trial() -> None:
    """Begins a trial, whose answer is kept for the process.

    An end of the process does not wait for it: bubblewrap may hang, at a network file system that does not answer, and is
    killed when the thread ends.
    """
    Thread(target=_try_bubblewrap, name="trial", daemon=True).start()


def _try_bubblewrap() -> None:
    """Makes the trial."""
    from gitbatch.sandbox.bubblewrap import find_bubblewrap

    find_bubblewrap()
