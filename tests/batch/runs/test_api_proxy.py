"""Whole runs with a hostile agent behind the proxy: it finds no key, and a limit holds although it reports nothing."""

import json
import re
from pathlib import Path

import pytest
from batch.model_server import serve_model
from conftest import Workspace
from sessions import run_here

from gitbatch.batch.ending import Ending

KEY = "sk-ant-oat01-the-real-token-of-the-user"
SEARCH = r"""#!/usr/bin/python3 -IS
import glob, os, sys
def read(path):
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            return os.read(descriptor, 1_000_000)
        finally:
            os.close(descriptor)
    except OSError:
        return b""
found = [os.environb[name] for name in os.environb]
for pattern in ("/proc/*/environ", "/proc/*/task/*/environ", "/proc/*/cmdline"):
    found += map(read, glob.glob(pattern))
for top in (os.environ["HOME"], os.environ["TMPDIR"], ".", "/tmp", "/run"):
    for folder, _, files in os.walk(top):
        found += [read(os.path.join(folder, name)) for name in files]
with open("out/search.md", "wb") as file:
    file.write(b"\n".join(found).replace(b"\0", b"\n").decode("ascii", "ignore").encode())
sys.stdout.buffer.write(b"\n".join(found)[:100_000] + b"\n")
sys.stdout.buffer.write(b'{"type": "result", "subtype": "success", "is_error": false, "result": "Searched.", "num_turns": 1}\n')
"""
SPEND = r"""#!/usr/bin/python3 -IS
import http.client, os, sys
from urllib.parse import urlsplit
for _ in range(9):
    connection = http.client.HTTPConnection(urlsplit(os.environ["ANTHROPIC_BASE_URL"]).netloc, timeout=30)
    connection.request("POST", "/v1/messages", b"{}", {"x-api-key": os.environ["ANTHROPIC_API_KEY"]})
    answer = connection.getresponse()
    if answer.status != 200:
        sys.exit(answer.read().decode())
"""


def add_program(workspace: Workspace, name: str, text: str) -> Path:
    path = workspace.home / ".local/share" / name / name
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("sandbox", ["bubblewrap", "landlock"])
def test_hostile_agents(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, sandbox: str) -> None:
    """One searches everything that it can read for the key, one spends what it can and reports nothing."""
    search, spend = add_program(workspace, "search", SEARCH), add_program(workspace, "spend", SPEND)
    workspace.environment |= {"CLAUDE_CODE_OAUTH_TOKEN": KEY, "ANTHROPIC_API_KEY": f"{KEY}-of-another-kind"}
    workspace.write(
        "task.md",
        "# Plan\n\n## Work Packages\n\n### Group\n\n- [ ] T1 Search → Output: `out/search.md`\n"
        "- [ ] T2 Spend → Output: `out/spend.md` → Agent: spend\n",
    )
    with serve_model() as server:
        address = f'env = {{ ANTHROPIC_BASE_URL = "http://127.0.0.1:{server.server_port}" }}'
        workspace.write(
            "gitbatch.toml",
            '[batch]\nagent = "search"\nretries = 3\nmax-cost = 1.4\n'
            f'[agents.search]\nkind = "command"\nformat = "claude"\nsandbox = "{sandbox}"\ncommand = ["{search}"]\n'
            f'pass-env = ["CLAUDE_CODE_OAUTH_TOKEN"]\n{address}\n'
            f'[agents.spend]\nkind = "command"\nformat = "claude"\ncommand = ["{spend}"]\n'
            f'pass-env = ["ANTHROPIC_API_KEY"]\n{address}\n',
        )
        workspace.commit("The plan")
        result, events = run_here(workspace, monkeypatch)
    assert result.ending is Ending.HALTED, json.dumps(events[-3:])
    outcomes = {
        event["outcome"]["item"]["name"]: event["outcome"]
        for event in events
        if event["event"] in {"item-finished", "attempt-failed"}
    }
    assert outcomes["T1"]["status"] == "succeeded"
    assert KEY not in json.dumps(events)
    found = workspace.git("show", f"{outcomes['T1']['commit']}:out/search.md")
    assert KEY not in found
    assert re.search(r"sk-ant-oat01-[0-9a-f]{64}", found), "it has its placeholder"
    used = outcomes["T2"]["spent"]["usage"]
    assert (outcomes["T2"]["cause"], used["requests"], used["cost"]) == (
        "budget-reached",
        4,
        pytest.approx(1.6004),
    )
    assert server.keys == [f"{KEY}-of-another-kind"] * 4
