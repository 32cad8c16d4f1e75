"""gitbatch without Linux: the main job and a resume, where Python, the C library and /proc are as on a Mac (`mac.py`)."""

import subprocess
import sys
from pathlib import Path

import pytest
from batch.model_server import serve_model
from batch.runs.test_run_api_network import KEY, set_up
from batch.test_resume import kill
from conftest import Workspace
from history import assert_tidy, audit, ticked

STAND_IN = """#!/bin/sh
[ "$1" = -p ] || exit 64
case $5 in 'echo started;'*) echo started; exit 0 ;; esac
echo "$2" >>"$(dirname "$0")/profiles"
shift 2
exec "$@"
"""
"""A `sandbox-exec` that keeps the profiles and confines nothing; in the trial it refuses to write."""
HIDDEN = ("bwrap", "--die-with-parent", "--dev-bind", "/", "/", "--tmpfs", "/proc")


@pytest.fixture
def sandbox_exec(tmp_path: Path) -> Path:
    program = tmp_path / "mac" / "sandbox-exec"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    return program


def start(workspace: Workspace, sandbox_exec: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Starts gitbatch on what looks like a Mac."""
    return subprocess.Popen(
        [*HIDDEN, sys.executable, str(Path(__file__).with_name("mac.py")), str(sandbox_exec), *arguments],
        cwd=workspace.root,
        env=workspace.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_main_job_and_resume(three: Workspace, sandbox_exec: Path) -> None:
    three.edit("task.md", "Write d →", "Write d do: hang →")
    three.commit()
    running = start(
        three, sandbox_exec, "run", "--items", "all", "--checkpoint", "at-end", "--sandbox", "auto"
    )
    assert running.stdout
    lines: list[str] = []
    while sum(line.startswith("  succeeded") for line in lines) < 3:
        lines.append(running.stdout.readline())
        assert lines[-1], "".join(lines)  # else it ended too early
    kill(running, three)
    assert "sandbox seatbelt" in "".join(lines)
    assert ticked(three) == []
    three.edit("task.md", " do: hang", "")
    three.commit("No more hanging")
    resumed = start(three, sandbox_exec, "run", "--sandbox", "auto")
    told, _ = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, told
    assert len(ticked(three)) == 12
    for verb in ("status", "verify", "gc"):
        process = start(three, sandbox_exec, verb)
        assert "Traceback" not in process.communicate(timeout=60)[0]
        assert process.returncode == 0
    profiles = sandbox_exec.with_name("profiles").read_text().split("(version 1)\n")[1:]
    assert len(profiles) == 13  # of which one is for the item that was killed
    audit(three)
    assert_tidy(three)


def test_api_by_a_port_of_this_machine(workspace: Workspace, sandbox_exec: Path) -> None:
    """There is no network namespace: the profile lets through the port of the proxy, and the key stays out as elsewhere."""
    with serve_model() as server:
        set_up(workspace, server.server_port, "")
        running = start(
            workspace, sandbox_exec, "run", "--items", "all", "--checkpoint", "at-end", "--sandbox", "auto"
        )
        said, _ = running.communicate(timeout=60)
    assert running.returncode == 0, said
    assert "network: api (" in said
    statuses, *variables = workspace.read("T1.md").splitlines()
    assert statuses.split()[:4] == ["200", "404", "401", "403"]
    assert KEY not in "\n".join(variables)
    assert server.keys[0] == KEY
    (profile,) = sandbox_exec.with_name("profiles").read_text().split("(version 1)\n")[1:]
    address = next(line for line in variables if line.startswith("HTTPS_PROXY="))
    assert f'(remote ip "localhost:{address.rpartition(":")[2]}")' in profile
    assert profile.count("network-") == 1
