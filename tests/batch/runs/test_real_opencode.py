"""The real OpenCode behind the proxy, where `opencode` is on PATH: with the key of one provider it has a placeholder."""

import json
import os
import shutil

import pytest
from conftest import Workspace
from sessions import run_here

from gitbatch.agents.anthropic.scripted.server import KEY, ScriptedServer
from gitbatch.batch.ending import Ending

pytestmark = pytest.mark.skipif(shutil.which("opencode") is None, reason="OpenCode is not installed")


def test_opencode_has_a_placeholder(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    script = 'bash {"command": "env >out.md", "description": "Show it"}; say Wrote the page.'
    workspace.write(
        "task.md",
        f"# P\n\n## Work Packages\n\n### Group\n\n- [ ] T1 Write it `script: {script}` → Output: `out.md`\n",
    )
    workspace.write(
        "gitbatch.toml",
        '[batch]\nagent = "opencode"\n[agents.opencode]\nkind = "command"\nformat = "opencode"\ntimeout = "100s"\n'
        'command = ["opencode", "run", "--format", "json", "-m", "anthropic/claude-sonnet-4-5"]\n'
        'pass-env = ["ANTHROPIC_API_KEY"]\npublic-env = ["ANTHROPIC_BASE_URL"]\n',
    )
    workspace.commit("The plan")
    with ScriptedServer() as server:
        workspace.environment |= {
            "ANTHROPIC_API_KEY": KEY,
            "ANTHROPIC_BASE_URL": f"{server.url}/v1",
            "PATH": os.environ["PATH"],
        }
        result, events = run_here(workspace, monkeypatch)
    assert (result.ending, result.succeeded) == (Ending.COMPLETE, 1), json.dumps(events)
    environment = workspace.git("show", "HEAD:out.md")
    assert "ANTHROPIC_API_KEY=sk-ant-api03-" in environment
    assert KEY not in environment
    assert {seen.status for seen in server.seen} == {200}
