"""The server that tries an overlay starts before it is asked, where it will be."""

import errno
from pathlib import Path

import pytest
from msgspec.structs import replace

from gitbatch.agents.pool import AgentPool
from gitbatch.agents.process.starter import Starter
from gitbatch.batch.caller import SessionSettings
from gitbatch.batch.worktree_choice import begin_choice
from gitbatch.project.config import Config


class CountedStarter(Starter):
    """Counts the servers that it would start."""

    started = 0

    def start_server(self) -> None:  # type: ignore[override]
        self.started += 1


@pytest.mark.parametrize(
    ("variable", "setting", "checkout", "started"),
    [
        ("", "auto", "full", 1),
        ("", "overlay", "full", 1),
        ("overlay", "copy", "full", 1),
        ("copy", "auto", "full", 0),
        ("", "copy", "full", 0),
        ("", "auto", "context", 0),
    ],
)
def test_server_starts_where_an_overlay_is_tried(
    variable: str, setting: str, checkout: str, started: int
) -> None:
    settings = SessionSettings(environment={"GITBATCH_WORKTREE": variable}, cache_dir=Path("/nonexistent"))
    batch = replace(Config().batch, worktree=setting, checkout=checkout)
    starter = CountedStarter()
    begin_choice(settings, replace(Config(), batch=batch), AgentPool({}, None, starter))
    assert starter.started == started


class BrokenStarter(CountedStarter):
    """Starts no server."""

    def start_server(self) -> None:  # type: ignore[override]
        super().start_server()
        raise OSError(errno.EAGAIN, "no process left")


def test_a_server_that_cannot_start_is_left_to_the_trial() -> None:
    settings = SessionSettings(environment={}, cache_dir=Path("/nonexistent"))
    starter = BrokenStarter()
    begin_choice(settings, Config(), AgentPool({}, None, starter))
    assert starter.started == 1
