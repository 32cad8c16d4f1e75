"""A server of two protocols, for agents that speak neither Anthropic's nor ACP to a model: OpenAI's and Gemini's.

Its model writes the file of another item, then its own (`write: PATH PATH` in the prompt), then ends with two sentences.
"""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SUMMARY = "Wrote the page. It has one heading."
_FOLDER = re.compile(r"[Ww]ork(?:ing|space)[^/\"]{0,60}director(?:y|ies)[^/\"]{0,20}(/[^\s\\\"`]+)")
"""Both agents tell their model where they are, as some of their tools want an absolute path."""
_PATHS = re.compile(r"write: (\S+) (\S+)")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["content-length"])).decode()
        request = json.loads(text)
        self._answer(_chat_chunks(request, text) if "messages" in request else _gemini_chunks(request, text))

    def _answer(self, chunks: list[dict[str, Any]]) -> None:
        is_stream = "stream" in self.path or "chat" in self.path
        body = (
            "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks)
            if is_stream
            else json.dumps(chunks[0])
        )
        if "chat" in self.path:
            body += "data: [DONE]\n\n"
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if is_stream else "application/json")
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_arguments: object) -> None:
        """Prints nothing."""


def _next_call(done: int, text: str) -> dict[str, str] | None:
    """Returns the arguments of the next call; None: the model has done its work, or this is another question."""
    found = _PATHS.search(text)
    paths = found.groups() if found else ()
    folder = _FOLDER.search(text)
    above = f"{folder[1].rstrip('.,')}/" if folder else ""
    return {"file_path": f"{above}{paths[done]}", "content": "# Page\n"} if done < len(paths) else None


def _chat_chunks(request: dict[str, Any], text: str) -> list[dict[str, Any]]:
    done = sum(message["role"] == "tool" for message in request["messages"])
    given = _next_call(done, text) if request.get("tools") else None
    call = {"index": 0, "id": f"call_{done}", "type": "function"}
    delta: dict[str, Any] = {"role": "assistant", "content": SUMMARY}
    if given:
        function = {"name": "write_file", "arguments": json.dumps(given)}
        delta = {"role": "assistant", "content": None, "tool_calls": [{**call, "function": function}]}
    reason = "tool_calls" if given else "stop"
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    usual = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": request.get("model", "m")}
    return [
        {**usual, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]},
        {**usual, "choices": [{"index": 0, "delta": {}, "finish_reason": reason}], "usage": usage},
    ]


def _gemini_chunks(request: dict[str, Any], text: str) -> list[dict[str, Any]]:
    parts = [part for content in request["contents"] for part in content.get("parts", [])]
    done = sum("functionResponse" in part for part in parts)
    given = _next_call(done, text) if request.get("tools") else None
    part = {"functionCall": {"name": "write_file", "args": given}} if given else {"text": SUMMARY}
    content = {"role": "model", "parts": [part]}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
    return [
        {"candidates": [{"index": 0, "content": content, "finishReason": "STOP"}], "usageMetadata": usage}
    ]


@contextmanager
def serve_models() -> Iterator[str]:
    """Serves while the block runs, and yields the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
