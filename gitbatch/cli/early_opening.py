"""Opening the repository of a command in a thread, while Python imports what the command needs: git needs no Python."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from gitbatch.repo.childless import prepare_childless
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository


class EarlyOpening:
    """A repository that is being opened."""

    def __init__(self, directory: Path) -> None:
        self.environment = dict(os.environ)
        """That of the process before the repository was opened, which removes git's variables."""
        thread = ThreadPoolExecutor(1, "opening")
        self._answer = thread.submit(open_repository, directory)
        thread.submit(prepare_childless)
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
