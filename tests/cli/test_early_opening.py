"""The repository is opened while a command is imported."""

import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Queue
from threading import Thread, current_thread
from typing import Any, Self

import pytest
from conftest import Here, Workspace
from waiting import DEADLINE

from gitbatch.agents.process.starter import Starter
from gitbatch.cli import batch, run
from gitbatch.cli.early_opening import EarlyOpening
from gitbatch.cli.frontend import PromptFrontend
from gitbatch.errors import GitbatchError
from gitbatch.sandbox import bubblewrap
from gitbatch.sandbox import server as sandbox_server
from gitbatch.sandbox.server import LauncherServer


@pytest.fixture(autouse=True)
def _ended_openings() -> Iterator[None]:
    """What was begun has ended before the next test: opening a repository removes variables of this process."""
    yield
    for thread in threading.enumerate():
        if thread.name.startswith("opening"):
            thread.join(DEADLINE)


def test_repository_is_opened_and_closed(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    workspace.write("file", "1")
    commit = workspace.commit()
    with EarlyOpening(workspace.root) as opening, opening.wait_for_repository() as repo:
        assert repo.refs.commit("HEAD") == commit


def test_error_is_raised_where_the_repository_is_used(tmp_path: Path) -> None:
    refused = pytest.raises(GitbatchError, match="is not in a git repository")
    with EarlyOpening(tmp_path) as opening, refused, opening.wait_for_repository():
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="there is no bubblewrap")
def test_no_end_waits_for_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bubblewrap may hang, and the run may need no sandbox, or end with an error."""
    threads: Queue[Thread] = Queue()
    monkeypatch.setattr(bubblewrap, "find_bubblewrap", lambda: threads.put(current_thread()))
    with EarlyOpening(tmp_path, has_sandbox=True):
        pass
    assert threads.get(timeout=60).daemon


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the launcher server")
@pytest.mark.parametrize("error", [None, GitbatchError("a plan is missing", ""), KeyboardInterrupt()])
def test_launcher_server_is_closed_however_the_command_ends(
    tmp_path: Path, error: BaseException | None
) -> None:
    with suppress(GitbatchError, KeyboardInterrupt), EarlyOpening(tmp_path, has_launcher=True) as opening:
        server = opening.find_server()
        assert server
        assert Starter(server).start_server() is server
        assert server.exit_code is None
        if error:
            raise error
    assert server
    assert server.exit_code == -signal.SIGKILL, "it was asked for nothing, and need not finish its start"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the launcher server")
@pytest.mark.parametrize(
    ("options", "started"),
    [((), 1), (("--checkpoint", "never"), 1), (("--dry-run",), 0)],
    ids=["no plan", "usage", "dry run"],
)
def test_a_run_that_is_refused_leaves_no_launcher_server(
    here: Here, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], started: int
) -> None:
    servers: list[LauncherServer] = []

    class Recorded(LauncherServer):
        """One that the test finds again."""

        def __init__(self) -> None:
            super().__init__()
            servers.append(self)

    monkeypatch.setattr(sandbox_server, "LauncherServer", Recorded)
    assert here("run", "--no-input", *options)[0] != 0
    assert len(servers) == started
    assert all(server.exit_code is not None for server in servers)


def test_launcher_server_that_cannot_start_is_reported_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise BlockingIOError

    monkeypatch.setattr(sandbox_server, "LauncherServer", refuse)
    with EarlyOpening(tmp_path, has_launcher=True) as opening:
        assert opening.find_server() is None


def test_a_run_that_asks_has_the_variables_of_the_users_git(
    workspace: Workspace, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening removes them: a commit of the user's at a review is by their configuration, in their editor."""

    class Opened(EarlyOpening):
        """One that is done before the command looks."""

        def __enter__(self) -> Self:
            super().__enter__()
            with self.wait_for_repository():
                return self

    seen: list[Mapping[str, str] | None] = []

    class Frontend(PromptFrontend):
        def __init__(self, *, inherited: Mapping[str, str] | None = None, **options: Any) -> None:  # noqa: ANN401 - those of the base
            seen.append(inherited)
            super().__init__(**options)

    @contextmanager
    def open_nothing(*arguments: Any) -> Iterator[None]:  # noqa: ANN401 - those of the original
        servers.append(arguments[-1])
        raise GitbatchError("there is no session", "")
        yield

    servers: list[object] = []
    monkeypatch.setattr(batch, "open_session", open_nothing)
    monkeypatch.setattr(run, "EarlyOpening", Opened)
    monkeypatch.setattr(batch, "PromptFrontend", Frontend)
    workspace.environment |= {"GIT_EDITOR": "mine", "GIT_PAGER": "less"}
    code, _, errors = here("run", "--no-input")
    assert (code != 0, "there is no session" in errors) == (True, True), errors
    assert bool(servers[0]) == (sys.platform == "linux"), "the session gets the server that has started"
    (inherited,) = seen
    assert inherited
    assert (
        inherited.items()
        >= {"GIT_EDITOR": "mine", "GIT_PAGER": "less", "GIT_AUTHOR_NAME": "Test User"}.items()
    )
