"""The real Codex behind the proxy, where `codex` is on PATH: its address is set by arguments, and it has a placeholder."""

import json
import os
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, ClassVar

import pytest
from conftest import Place
from msgspec.structs import replace
from sessions import run_here

from gitbatch.agents.command import table as table_module
from gitbatch.agents.process.api_programs import FORMATS
from gitbatch.batch.loop import Ending

pytestmark = pytest.mark.skipif(shutil.which("codex") is None, reason="Codex is not installed")
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


def test_codex_has_a_placeholder(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.environment |= {"CODEX_API_KEY": KEY, "PATH": os.environ["PATH"]}
    place.write("task.md", "# P\n\n## Work Packages\n\n### Group\n\n- [ ] T1 Write it → Output: `out.md`\n")
    place.write(
        "gitbatch.toml",
        '[batch]\nagent = "codex"\n[agents.codex]\nkind = "command"\nformat = "codex"\ntimeout = "60s"\n'
        'command = ["codex", "exec", "--json", "--skip-git-repo-check", "-s", "danger-full-access", "-m", "gpt-5.5", "-"]\n'
        'pass-env = ["CODEX_API_KEY"]\n',
    )
    place.commit("The plan")
    with ThreadingHTTPServer(("127.0.0.1", 0), Responses) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        known = replace(FORMATS["codex"], address=f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setattr(table_module, "FORMATS", MappingProxyType({**FORMATS, "codex": known}))
        result, events = run_here(place, monkeypatch)
        server.shutdown()
    assert (result.ending, result.succeeded) == (Ending.COMPLETE, 1), json.dumps(events)
    assert Responses.keys == [f"Bearer {KEY}"] * 2
    environment = place.git("show", "HEAD:out.md")
    assert "CODEX_API_KEY=sk-proj-" in environment
    assert KEY not in environment
    (outcome,) = (event["outcome"] for event in events if event["event"] == "item-finished")
    used = outcome["reply"]["usage"]
    assert (used["input"], used["output"], used["cache_read"]) == (120, 10, 80)
    assert used["cost"] > 0
