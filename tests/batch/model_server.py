"""A server of a model on loopback, which notes the keys that it gets."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class ModelServer(ThreadingHTTPServer):
    """The server of a model."""

    keys: list[str | None]


class Answer(BaseHTTPRequestHandler):
    """Answers with a message, and notes the key."""

    server: ModelServer

    def do_POST(self) -> None:
        self.server.keys.append(self.headers["x-api-key"])
        self.rfile.read(int(self.headers["content-length"]))
        usage = {"input_tokens": 100_000, "output_tokens": 5}
        body = json.dumps({"type": "message", "model": "claude-opus-5-5", "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Prints nothing."""


@contextmanager
def serve_model() -> Iterator[ModelServer]:
    """Serves while the block runs."""
    with ModelServer(("127.0.0.1", 0), Answer) as server:
        server.keys = []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
