"""A run whose agent needs a key, a program and a sandbox: all of that is at its worker, and the key alone comes from here."""

import os
from pathlib import Path

import pytest
from batch.model_server import serve_model
from batch.runs.test_run_api_network import KEY, set_up, texts
from batch.runs.test_run_workers import name_workers
from conftest import Workspace
from history import audit, trailers
from sessions import run_here


@pytest.mark.rule("F8")
def test_key_that_is_sent_reaches_the_model_by_the_proxy_of_the_worker(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve_model() as server:
        set_up(workspace, server.server_port, 'sandbox = "seatbelt"')  # which no worker listens to
        path = workspace.environment["PATH"]
        workspace.environment["PATH"] = path.partition(":")[2]
        name_workers(workspace, 1, secrets="send", env=("-u", "ANTHROPIC_API_KEY", f"PATH={path}"))
        result, events = run_here(workspace, monkeypatch)
    assert result.succeeded == 1, texts(events)
    item = audit(workspace).items[0]
    statuses, *environment = workspace.read("T1.md").splitlines()
    assert statuses == "200 404 401 403 Connection refused"
    assert server.keys == [KEY]
    assert not [line for line in environment if KEY in line]
    assert int(trailers(workspace, item, "Tokens")[0]) > 100_000, "the proxy has counted"
    assert trailers(workspace, item, "Host") == ["w1"]
    (greeted,) = [text for text in texts(events) if text.startswith("worker w1: ")]
    assert "agents claude" in greeted
    assert list(_find_key(workspace.home.parent)) == []


def _find_key(top: Path) -> list[str]:
    """The files below a folder that have the key."""
    found = []
    for folder, _, names in os.walk(top):
        for name in names:
            path = Path(folder) / name
            if path.is_file() and not path.is_symlink() and KEY.encode() in path.read_bytes():
                found.append(str(path))
    return found
