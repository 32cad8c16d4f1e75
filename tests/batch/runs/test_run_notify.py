"""Notifications of whole runs, by the user's own configuration and never by the repository's."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Workspace


@pytest.fixture
def received(three: Workspace) -> Path:
    """The file that the user's command adds each notification to."""
    file = three.home / "received"
    config = three.home / ".config" / "gitbatch" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(
        f"[notify]\ncommand = ['sh', '-c', 'cat >>\"$0\"; echo >>\"$0\"', '{file}']\n", encoding="utf-8"
    )
    three.environment["XDG_CONFIG_HOME"] = str(three.home / ".config")
    return file


def read(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_pause_and_end_of_runs(three: Workspace, received: Path) -> None:
    three.gitbatch("run", "--items", "group:1-2", "--checkpoint", "after-each", code=3)
    (paused,) = read(received)
    assert paused["event"] == "batch-paused"
    assert paused["text"] == f"{three.root.name}: the batch is paused"
    assert "items" not in paused or paused["items"] == []
    three.gitbatch("run", code=0)
    assert read(received)[1]["event"] == "batch-finished"
    three.gitbatch("run", "--items", "group:3", "--checkpoint", "at-end", code=0, GITBATCH_NOTIFY="")
    assert len(read(received)) == 2, "an empty variable: none"


def test_failed_notification_is_a_notice(three: Workspace) -> None:
    done = three.gitbatch("run", "--items", "T101", "--checkpoint", "at-end", code=0, GITBATCH_NOTIFY="false")
    assert "note  notification: the command failed: false: exit code 1" in done.stdout


def test_invalid_configuration_starts_nothing(three: Workspace, received: Path) -> None:
    before = three.state()
    (three.home / ".config/gitbatch/config.toml").write_text('[notify]\nwebhook = "http://example.org"\n')
    done = three.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=2)
    assert "not an https address" in done.stderr
    assert three.state() == before
    assert not received.exists()


def test_repository_cannot_name_a_receiver(three: Workspace) -> None:
    three.write("gitbatch.toml", three.read("gitbatch.toml") + '\n[notify]\ncommand = ["touch", "x"]\n')
    three.commit()
    done = three.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=2)
    assert "notify" in done.stderr
