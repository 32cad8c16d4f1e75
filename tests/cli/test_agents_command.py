"""`gitbatch agents` as a user meets it; what it finds is tested in `tests/agents/test_survey.py`."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Here, Workspace

from gitbatch.agents.survey.known_programs import KNOWN_PROGRAMS

CONFIG = '[agents.writer]\nkind = "command"\ncommand = ["sh"]\npass-env = ["A_KEY"]\n'


def test_list_below_a_repository(workspace: Workspace, here: Here) -> None:
    workspace.write("gitbatch.toml", CONFIG)
    workspace.write("below/a", "")
    program = workspace.root / "codex"
    program.write_text("#!/bin/sh\ntouch started\necho codex-cli 1.0\n")
    program.chmod(0o755)
    workspace.environment["PATH"] = f"{workspace.root}:{workspace.environment['PATH']}"
    code, said, errors = here("agents", "-C", "below")
    assert (code, errors) == (0, "")
    assert "writer (default)  command" in said
    assert "not set: A_KEY" in said
    assert f"not looked into: {workspace.root} on PATH (it is in the repository)" in said
    assert not (workspace.root / "started").exists()
    assert workspace.git("status", "--porcelain") == "?? below/\n?? codex\n?? gitbatch.toml"


def test_list_outside_of_a_repository(workspace: Workspace, here: Here) -> None:
    code, said, _ = here("agents", "list", "-C", str(workspace.home), "--json")
    found = json.loads(said)
    assert (code, found["ok"], found["agents"]) == (0, True, [])
    assert [program["name"] for program in found["programs"]] == list(KNOWN_PROGRAMS)


@pytest.mark.parametrize("words", [(), ("try", "writer")])
def test_configuration_that_is_not_valid(workspace: Workspace, here: Here, words: tuple[str, ...]) -> None:
    workspace.write("gitbatch.toml", CONFIG.replace("command =", "comand ="))
    code, said, errors = here("agents", *words)
    assert (code, said) == (2, "")
    assert "unknown field `comand`" in errors


def test_quiet_trial_shows_failures_alone(workspace: Workspace, here: Here) -> None:
    workspace.write("gitbatch.toml", CONFIG.replace('["sh"]', '["no-such-program"]'))
    code, said, errors = here("agents", "try", "writer", "-q")
    assert code == 1
    first = " ".join(said.splitlines()[0].split())
    assert first == "failed program no-such-program is not found on PATH, or cannot be executed"
    assert "trying agent" not in said
    assert errors == "agent writer cannot work like this: program\n"


def test_interrupted_trial_is_not_a_failed_one(workspace: Workspace) -> None:
    workspace.write("gitbatch.toml", CONFIG.replace('["sh"]', '["sh", "-c", "echo here; exec sleep 600"]'))
    command = [sys.executable, "-m", "gitbatch", "agents", "try", "writer"]
    environment = {**workspace.environment, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command,
        cwd=workspace.root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        next(line for line in process.stdout if "first output" in line)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "interrupted\n")
    assert "-      wrote its file  interrupted\n" in said
    assert not [*(Path(workspace.environment["XDG_CACHE_HOME"]) / "gitbatch").glob("trial-*")]
