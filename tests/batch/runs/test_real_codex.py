"""The real Codex behind the proxy, where `codex` is on PATH: its address is set by arguments, and it has a placeholder."""

import json
import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, ClassVar

import pytest
from conftest import Workspace
from msgspec.structs import replace
from sessions import run_here

from gitbatch.agents.acp import table as acp_table
from gitbatch.agents.command import table as command_table
from gitbatch.agents.process.api_programs import FORMATS, PROGRAMS
from gitbatch.batch.ending import Ending

KEY = "sk-proj-the-real-key-of-the-user"
WRITE = {
    "type": "function_call",
    "call_id": "call_1",
    "name": "exec_command",
    "arguments": json.dumps({"cmd": "env >out.md"}),
}
SAY = {
    "type": "message",
    "role": "assistant",
    "id": "msg_1",
    "content": [{"type": "output_text", "text": "Wrote the page."}],
}
USAGE = {
    "input_tokens": 100,
    "output_tokens": 5,
    "total_tokens": 105,
    "input_tokens_details": {"cached_tokens": 40},
}


class Responses(BaseHTTPRequestHandler):
    """Answers as OpenAI's Responses: first a call of the shell, then a message."""

    keys: ClassVar[list[str | None]] = []

    def do_POST(self) -> None:
        self.keys.append(self.headers["authorization"])
        asked = self.rfile.read(int(self.headers["content-length"]))
        item = SAY if b"function_call_output" in asked else WRITE
        head = {"id": "resp_1", "model": "gpt-5.5"}
        events: list[dict[str, Any]] = [
            {"type": "response.created", "response": head},
            {"type": "response.output_item.done", "item": item},
            {"type": "response.completed", "response": {**head, "usage": USAGE}},
        ]
        body = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Prints nothing."""


COMMAND = (
    'kind = "command"\nformat = "codex"\npass-env = ["CODEX_API_KEY"]\n'
    'command = ["codex", "exec", "--json", "--skip-git-repo-check", "-s", "danger-full-access", "-m", "gpt-5.5", "-"]\n'
)
ACP = 'kind = "acp"\npreset = "codex"\n'


@pytest.mark.parametrize(
    ("program", "settings"), [("codex", COMMAND), ("codex-acp", ACP)], ids=["command", "acp"]
)
def test_codex_has_a_placeholder(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, program: str, settings: str
) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    Responses.keys.clear()
    workspace.environment |= {"CODEX_API_KEY": KEY, "PATH": os.environ["PATH"]}
    workspace.write(
        "task.md", "# P\n\n## Work Packages\n\n### Group\n\n- [ ] T1 Write it → Output: `out.md`\n"
    )
    workspace.write(
        "gitbatch.toml",
        f'[batch]\nagent = "codex"\nretries = 0\n[agents.codex]\n{settings}timeout = "60s"\n',
    )
    workspace.commit("The plan")
    with ThreadingHTTPServer(("127.0.0.1", 0), Responses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        for module, name, known in ((command_table, "FORMATS", FORMATS), (acp_table, "PROGRAMS", PROGRAMS)):
            changed = MappingProxyType({**known, "codex": replace(known["codex"], address=address)})
            monkeypatch.setattr(module, name, changed)
        result, events = run_here(workspace, monkeypatch)
        server.shutdown()
    assert (result.ending, result.succeeded) == (Ending.COMPLETE, 1), json.dumps(events)
    assert Responses.keys == [f"Bearer {KEY}"] * 2
    environment = workspace.git("show", "HEAD:out.md")
    assert "CODEX_API_KEY=sk-proj-" in environment
    assert KEY not in environment
    (outcome,) = (event["outcome"] for event in events if event["event"] == "item-finished")
    used = outcome["reply"]["usage"]
    assert (used["input"], used["output"], used["cache_read"]) == (120, 10, 80)
    assert used["cost"] > 0
