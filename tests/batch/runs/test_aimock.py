"""Kind `anthropic` against a server of others: aimock (npm `@copilotkit/aimock`), where it is installed (`nox -s aimock`)."""

import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Workspace
from history import assert_tidy, ticked
from sessions import run_here

from gitbatch.batch.ending import Ending

AIMOCK = shutil.which("llmock")
pytestmark = pytest.mark.skipif(AIMOCK is None, reason="aimock is not installed")

PLAN = """# P

## Work Packages

### Pages

- [ ] T1 Write it → Output: docs/one.md
- [ ] T2 Write it → Output: docs/two.md
- [ ] T3 Write it → Output: docs/three.md
"""
CONFIG = """[batch]
agent = "model"
retries = 0

[agents.model]
kind = "anthropic"
model = "played"
price = {input = 3.0, output = 15.0}
"""


def call(name: str, identity: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - of any tool
    return {"toolCalls": [{"id": identity, "name": name, "arguments": json.dumps(arguments)}]}


def page(output: str, *before: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields the answers for one item: it reads, writes and finishes."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 100}
    steps = (
        call("read_file", f"read-{output}", path="none.md"),
        call("write_output", f"write-{output}", content=f"# {output}\n\n" + "A line of text.\n" * 40),
        call("finish", f"finish-{output}", summary=f"Wrote {output}. Nothing is open."),
    )
    asked = [{"userMessage": output, "hasToolResult": False}]
    asked += [{"toolCallId": f"{name}-{output}"} for name in ("read", "write")]
    yield from before
    for match, step in zip(asked, steps, strict=True):
        yield {"match": match, "response": {**step, "usage": usage}}


def refusal(output: str, status: int, message: str, kind: str) -> dict[str, Any]:
    return {
        "match": {"userMessage": output, "hasToolResult": False},
        "response": {"error": {"message": message, "type": kind}, "status": status},
    }


@pytest.fixture
def aimock(tmp_path: Path) -> Iterator[str]:
    """The address of a running server."""
    overloaded = refusal("docs/two.md", 529, "Overloaded", "overloaded_error")
    overloaded["match"]["sequenceIndex"] = 0
    fixtures = [
        *page("docs/one.md"),
        *page("docs/two.md", overloaded),
        refusal("docs/three.md", 400, "this request is wrong", "invalid_request_error"),
    ]
    file = tmp_path / "fixtures.json"
    file.write_text(json.dumps({"fixtures": fixtures}))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(AIMOCK), "--port", str(port), "--fixtures", str(file), "--strict", "--validate-on-load"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout
        lines: list[str] = []
        while "listening" not in "".join(lines).lower():
            lines.append(server.stdout.readline())
            assert lines[-1], "".join(lines)
        yield f"http://127.0.0.1:{port}"
        server.terminate()


def test_items_by_aimock(workspace: Workspace, aimock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace.environment |= {"ANTHROPIC_API_KEY": "sk-ant-api03-none", "ANTHROPIC_BASE_URL": aimock}
    workspace.write("task.md", PLAN)
    workspace.write("gitbatch.toml", CONFIG)
    workspace.commit()
    result, events = run_here(workspace, monkeypatch)
    outcomes = {
        event["outcome"]["item"]["name"]: event["outcome"]
        for event in events
        if event["event"] == "item-finished"
    }
    assert (result.ending, ticked(workspace)) == (Ending.COMPLETE, ["T1", "T2"]), json.dumps(outcomes)
    assert workspace.git("show", "main:docs/one.md").startswith("# docs/one.md\n\nA line")
    assert "no such file: none.md" in json.dumps(events)
    shown = [event["line"] for event in events if event["event"] == "item-progress"]
    assert any(line.endswith("529 overloaded_error: Overloaded") for line in shown)
    assert "this request is wrong" in json.dumps(outcomes["T3"])
    assert outcomes["T1"]["reply"]["usage"]["cost"] == pytest.approx(3 * (1000 * 3 + 100 * 15) / 1e6)
    assert_tidy(workspace)
