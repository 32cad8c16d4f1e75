"""The repository is opened while a command is imported."""

import sys
from collections.abc import Mapping
from pathlib import Path
from queue import Queue
from threading import Thread, current_thread
from typing import Any

import pytest
from conftest import Here, Place

from gitbatch.cli import batch, run
from gitbatch.cli.early_opening import EarlyOpening
from gitbatch.cli.frontend import PromptFrontend
from gitbatch.errors import GitbatchError
from gitbatch.sandbox import bubblewrap


def test_repository_is_opened_and_closed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in place.environment.items():
        monkeypatch.setenv(name, value)
    place.write("file", "1")
    commit = place.commit()
    with EarlyOpening(place.root).wait_for_repository() as repo:
        assert repo.refs.commit("HEAD") == commit


def test_error_is_raised_where_the_repository_is_used(tmp_path: Path) -> None:
    opening = EarlyOpening(tmp_path)
    with pytest.raises(GitbatchError, match="is not in a git repository"), opening.wait_for_repository():
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="there is no bubblewrap")
def test_no_end_waits_for_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bubblewrap may hang, and the run may need no sandbox, or end with an error."""
    threads: Queue[Thread] = Queue()
    monkeypatch.setattr(bubblewrap, "find_bubblewrap", lambda: threads.put(current_thread()))
    EarlyOpening(tmp_path, has_sandbox=True)
    assert threads.get(timeout=60).daemon


def test_a_run_that_asks_has_the_variables_of_the_users_git(
    place: Place, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening removes them: a commit of the user's at a review is by their configuration, in their editor."""

    class Opened(EarlyOpening):
        """One that is done before the command looks."""

        def __init__(self, directory: Path, *, has_sandbox: bool) -> None:
            super().__init__(directory, has_sandbox=has_sandbox)
            with self.wait_for_repository():
                pass

    seen: list[Mapping[str, str] | None] = []

    class Frontend(PromptFrontend):
        def __init__(self, *, inherited: Mapping[str, str] | None = None, **options: Any) -> None:  # noqa: ANN401 - those of the base
            seen.append(inherited)
            super().__init__(**options)

    monkeypatch.setattr(run, "EarlyOpening", Opened)
    monkeypatch.setattr(batch, "PromptFrontend", Frontend)
    place.environment |= {"GIT_EDITOR": "mine", "GIT_PAGER": "less"}
    assert here("run", "--no-input")[0] != 0, "there is no plan"
    (inherited,) = seen
    assert inherited
    assert (
        inherited.items()
        >= {"GIT_EDITOR": "mine", "GIT_PAGER": "less", "GIT_AUTHOR_NAME": "Test User"}.items()
    )
