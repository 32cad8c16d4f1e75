"""Running a plan in the test's own process, through the service that the command line uses."""

import asyncio
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from conftest import Workspace

from gitbatch.batch.caller import PauseAlways, SessionSettings
from gitbatch.batch.ending import Result
from gitbatch.batch.event_log import EventWriter
from gitbatch.batch.model import CheckpointMode
from gitbatch.batch.session import open_session
from gitbatch.repo.opening import open_repository


def run_here(
    workspace: Workspace,
    monkeypatch: pytest.MonkeyPatch,
    **settings: Any,  # noqa: ANN401 - fields of SessionSettings
) -> tuple[Result, list[Any]]:
    """Returns the result of a session that runs all items, and its events as JSON values."""
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    output = StringIO()
    repo = open_repository(workspace.root)
    try:
        with open_session(repo, session_settings(workspace, **settings), (EventWriter(output),)) as session:
            result = asyncio.run(session.run(PauseAlways()))
    finally:
        repo.close()
    return result, [json.loads(line) for line in output.getvalue().splitlines()]


def session_settings(workspace: Workspace, **more: Any) -> SessionSettings:  # noqa: ANN401 - as above
    """Returns settings that run all items to the end, with what a test says instead."""
    usual: dict[str, Any] = {
        "environment": workspace.environment,
        "cache_dir": Path(workspace.environment["XDG_CACHE_HOME"]) / "gitbatch",
        "items": "all",
        "checkpoint": CheckpointMode.parse("at-end"),
    }
    return SessionSettings(**(usual | more))
