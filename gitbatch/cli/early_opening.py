"""Opening the repository of a command in a thread, while Python imports what the command needs: git needs no Python.

The thread also makes trials of what the kernel allows, and starts the launcher server, which the command would wait for
later: a second core has nothing to do while the first one imports.
"""

import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, Self

from gitbatch.repo.childless import prepare_childless
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository

if TYPE_CHECKING:
    from gitbatch.sandbox.server import LauncherServer


class EarlyOpening:
    """A repository that is being opened, from the start of its context on. The context owns the launcher server."""

    def __init__(self, directory: Path, *, has_sandbox: bool = False, has_launcher: bool = False) -> None:
        """Starts nothing yet.

        Args:
            directory: inside the repository.
            has_sandbox: finds out too if bubblewrap works here, which the best sandbox needs.
            has_launcher: starts the launcher server too, which programs in a sandbox or an overlay need.
        """
        self.environment = dict(os.environ)
        """That of the process before the repository was opened, which removes git's variables."""
        self._directory = directory
        is_linux = sys.platform == "linux"
        self._has_sandbox = has_sandbox and is_linux
        self._has_launcher = has_launcher and is_linux
        self._answer: Future[Repository] = Future()
        self._server: Future[LauncherServer] | None = None

    def __enter__(self) -> Self:
        thread = ThreadPoolExecutor(1, "opening")
        if self._has_launcher:
            self._server = thread.submit(_start_server)
        self._answer = thread.submit(open_repository, self._directory)
        thread.submit(prepare_childless)
        if self._has_sandbox:
            thread.submit(_begin_trial)
        thread.shutdown(wait=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the launcher server, whatever the command did; a session that has used it has closed it before."""
        server = self.find_server()
        if server:
            server.close()

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

    def find_server(self) -> "LauncherServer | None":
        """Returns the launcher server; None: none was started here, or it cannot be, which the first program reports."""
        with suppress(OSError):
            return self._server.result() if self._server else None
        return None


def _start_server() -> "LauncherServer":
    from gitbatch.sandbox.server import LauncherServer

    return LauncherServer()


def _begin_trial() -> None:
    """Begins a trial, whose answer is kept for the process.

    An end of the process does not wait for it: bubblewrap may hang, at a network file system that does not answer.
    """
    Thread(target=_try_bubblewrap, name="trial", daemon=True).start()


def _try_bubblewrap() -> None:
    """Makes the trial."""
    from gitbatch.sandbox.bubblewrap import find_bubblewrap

    find_bubblewrap()
