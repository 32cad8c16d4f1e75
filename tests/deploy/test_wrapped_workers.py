"""A run whose workers are behind programs that do what `srun` and `kubectl exec -i` do to their streams."""

import os
import sys
from pathlib import Path

import pytest
from batch.programs import run, set_up
from conftest import Workspace
from history import audit, ticked

WRAPPERS = Path(__file__).parent / "wrappers.py"


@pytest.mark.skipif("GITBATCH_DEPLOY" not in os.environ, reason="GITBATCH_DEPLOY is not set")
@pytest.mark.parametrize("kind", ["srun", "kubectl"])
def test_run_behind_a_program_that_passes_streams_on(workspace: Workspace, kind: str) -> None:
    set_up(workspace, "ok", "ok")
    workspace.write("agent.sh", workspace.read("agent.sh").replace("$HOME", str(workspace.home)))
    far = workspace.home.parent / "far"
    far.mkdir()
    start = [sys.executable, str(WRAPPERS), kind, str(far)]
    worker = [sys.executable, "-m", "gitbatch", "worker", "--stdio", "--sandbox", "none", "--name", kind]
    command = str([*start, *worker]).replace("'", '"')
    text = workspace.read("gitbatch.toml")
    workspace.write(
        "gitbatch.toml", f'{text}\n[executor]\nkind = "command"\nno-worker = "10s"\nworkers = [{command}]\n'
    )
    workspace.commit("The worker")
    told = run(workspace)
    assert ticked(workspace) == ["T1", "T2"]
    assert told.outcome("T1")["host"] == kind
    assert len(audit(workspace).items) == 2
