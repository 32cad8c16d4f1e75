"""The server itself: HTTP/1.1 and server-sent stream_events by hand, on a loopback port, in a thread of its own.

It keeps no conversation. All that it remembers is how often it saw a request (for faults that go away), which
starts of prompts it has answered (for the numbers of its pretended cache), and a line about each request for tests.
"""

import asyncio
import hashlib
import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.anthropic.scripted.script import Fault, Step, next_step, output_of
from gitbatch.agents.anthropic.scripted.wire import (
    count_tokens,
    encode_chunk,
    hash_start,
    response_head,
    stream_events,
    whole_message,
)

KEY = "scripted-key"
_HANG = 60.0
"""Seconds: longer than any client waits."""
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


class SeenRequest(Struct, frozen=True):
    """A request that was received, for tests."""

    at: float
    """When it arrived, in monotonic seconds."""
    path: str
    item: str
    turn: int
    status: int
    size: int
    start: str
    """A hash of what comes before the messages."""
    model: str
    messages: str
    """The last message, as JSON."""


@dataclass(slots=True)
class ScriptedServer:
    """Serves within a `with` block."""

    key: str = KEY
    counts: bool = True
    """Whether it can count tokens."""
    reports_usage: bool = True
    """Whether it reports usage; some servers send null."""
    nap: float = 0.0
    """Seconds before each answer, so that a demo can be watched."""
    limit_every: int = 0
    """Every N-th request is refused once, for a second, as by a rate limit; 0: none."""
    url: str = ""
    seen: list[SeenRequest] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    _asked: Counter[str] = field(default_factory=Counter)
    _cached: set[str] = field(default_factory=set)
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _ready: threading.Event = field(default_factory=threading.Event)
    _end: asyncio.Event | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve_clients()), daemon=True)
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop and self._end and self._thread:
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()

    def reset_state(self) -> None:
        """Resets the server to its first state."""
        self.seen.clear()
        self._asked.clear()
        self._cached.clear()
        self.most_under_way = 0

    def requests_of(self, item: str) -> list[SeenRequest]:
        """Returns the requests of one item."""
        return [seen for seen in self.seen if seen.item == item]

    async def _serve_clients(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        clients: set[asyncio.Task[None]] = set()

        async def handle_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task:
                clients.add(task)
            try:
                while await self._answer_one(reader, writer):
                    pass
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass  # the client has gone, or the server ends
            finally:
                if task:
                    clients.discard(task)
                writer.transport.abort()

        server = await asyncio.start_server(handle_client, "127.0.0.1", 0, limit=2**20)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._end.wait()
        server.close()
        for task in tuple(clients):
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request. Returns false if the connection has ended."""
        lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        method, target, *_ = lines[0].split(" ")
        path = target.partition("?")[0]
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            if method == "HEAD":  # how Claude Code looks whether there is a server
                return await self._send_json(writer, 200 if path == "/" else 404)
            return await self._route_request(path, headers, body, writer)
        finally:
            self.under_way -= 1

    async def _route_request(
        self, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter
    ) -> bool:
        given = headers.get("authorization", "").removeprefix("Bearer ") or headers.get("x-api-key", "")
        is_count = path == "/v1/messages/count_tokens"
        if path != "/v1/messages" and not (is_count and self.counts):
            return await self._send_error(writer, 404, f"there is nothing at {path}")
        if given != self.key:
            return await self._send_error(writer, 401, f"the key {given} is not valid")
        try:
            request = json.loads(body)
        except ValueError as error:
            return await self._send_error(writer, 400, f"the request is not JSON: {error}")
        if is_count:
            return await self._send_json(writer, 200, {"input_tokens": count_tokens(body)})
        return await self._play_step(writer, request, body)

    async def _play_step(self, writer: asyncio.StreamWriter, request: dict[str, Any], body: bytes) -> bool:
        """Answers as the script says."""
        try:
            step = self._with_key(next_step(request))
        except ValueError as error:
            return await self._send_error(writer, 400, f"cannot read the script: {error}")
        fault = self._next_fault(step, request, body)
        if self.limit_every and (len(self.seen) + 1) % self.limit_every == 0:
            fault = Fault("fail", "429", after="1")
        self._keep_request("/v1/messages", request, body, fault)
        await asyncio.sleep(step.nap or self.nap)
        match fault:
            case Fault("fail"):
                return await self._send_error(
                    writer, int(fault.what), "this is what the script says", fault.after
                )
            case Fault("overflow"):
                text = f"prompt is too long: {len(body)} bytes > {fault.what} maximum"
                return await self._send_error(writer, 400, text)
            case Fault("leak"):
                text = f"bad request with the key {self.key}, in full: {self.key}"
                return await self._send_error(writer, 400, text)
        usage = self._make_usage(request, body)
        if not request.get("stream"):
            return await self._send_whole(writer, whole_message(step, request["model"], usage), fault)
        return await self._stream_answer(writer, list(stream_events(step, request["model"], usage)), fault)

    def _with_key(self, step: Step) -> Step:
        r"""Returns a step with the key instead of each \k."""
        blocks = json.dumps(step.blocks).replace("\\\\k", self.key)
        return replace(step, blocks=tuple(json.loads(blocks)))

    def _next_fault(self, step: Step, request: dict[str, Any], body: bytes) -> Fault | None:
        """Returns the fault of this request. A request that is sent again without a stream counts as the same."""
        asked = json.dumps({**request, "stream": None}, sort_keys=True).encode()
        times = self._asked[digest := hashlib.sha256(asked).hexdigest()]
        self._asked[digest] += 1
        for fault in step.faults:
            if fault.kind == "overflow":
                if len(body) > int(fault.what):
                    return fault
            elif fault.kind == "leak" or times < fault.times:
                return fault
            else:
                times -= fault.times
        return None

    def _keep_request(self, path: str, request: dict[str, Any], body: bytes, fault: Fault | None) -> None:
        turn = sum(message["role"] == "assistant" for message in request["messages"])
        status = int(fault.what) if fault and fault.kind == "fail" else 200
        last = json.dumps(request["messages"][-1], ensure_ascii=False)
        start = hash_start(request)
        self.seen.append(
            SeenRequest(
                time.monotonic(),
                path,
                output_of(request),
                turn,
                status,
                len(body),
                start,
                request["model"],
                last,
            )
        )

    async def _stream_answer(
        self, writer: asyncio.StreamWriter, answer: list[dict[str, Any]], fault: Fault | None
    ) -> bool:
        last = len(answer) // 2 if fault else len(answer)
        writer.write(response_head(200, "text/event-stream", "transfer-encoding: chunked"))
        for event in answer[:last]:
            writer.write(encode_chunk(event))
            await writer.drain()
        if fault and not await self._break_off(writer, fault):
            return False
        if fault and fault.what == "error":
            said = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
            writer.write(encode_chunk(said))
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    async def _send_whole(
        self, writer: asyncio.StreamWriter, answer: dict[str, Any], fault: Fault | None
    ) -> bool:
        """Sends an answer that is not streamed; with a fault, half of its bytes."""
        if fault is None:
            return await self._send_json(writer, 200, answer)
        if fault.what == "error":
            return await self._send_error(writer, 529, "Overloaded")
        body = json.dumps(answer).encode()
        writer.write(
            response_head(200, "application/json", f"content-length: {len(body)}") + body[: len(body) // 2]
        )
        await writer.drain()
        await self._break_off(writer, fault)
        return False

    async def _break_off(self, writer: asyncio.StreamWriter, fault: Fault) -> bool:
        """Does what a fault does in the middle of an answer. Returns false if the connection has ended."""
        if fault.what == "hang":
            await asyncio.sleep(_HANG)
        if fault.what == "reset":
            writer.transport.abort()
        return fault.what != "reset"

    def _make_usage(self, request: dict[str, Any], body: bytes) -> dict[str, int]:
        """Returns counts as of a server with a cache; none if it does not report usage."""
        if not self.reports_usage:
            return {}
        start = hash_start(request)
        shared = count_tokens(json.dumps([request.get("tools"), request.get("system")]).encode())
        was_there = start in self._cached
        self._cached.add(start)
        return {
            "input_tokens": max(1, count_tokens(body) - shared),
            "output_tokens": 1,
            "cache_read_input_tokens": shared if was_there else 0,
            "cache_creation_input_tokens": 0 if was_there else shared,
        }

    async def _send_error(
        self, writer: asyncio.StreamWriter, status: int, text: str, after: str = ""
    ) -> bool:
        kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        said = {"type": "error", "error": {"type": kind, "message": text}}
        return await self._send_json(writer, status, said, *((f"retry-after: {after}",) if after else ()))

    async def _send_json(
        self, writer: asyncio.StreamWriter, status: int, said: dict[str, Any] | None = None, *more: str
    ) -> bool:
        body = b"" if said is None else json.dumps(said).encode()
        writer.write(response_head(status, "application/json", f"content-length: {len(body)}", *more) + body)
        await writer.drain()
        return True
