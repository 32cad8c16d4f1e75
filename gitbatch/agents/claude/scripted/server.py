"""The server itself: HTTP/1.1 and server-sent events by hand, on a loopback port, in a thread of its own.

It keeps no conversation. All that it remembers is how often it saw a request (for faults that go away), which
starts of prompts it has answered (for the numbers of its pretended cache), and a line about each request for tests.
"""

import asyncio
import hashlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.claude.scripted.script import Fault, Step, next_step, output_of

KEY = "scripted-key"
_CHUNK = 48
"""Characters of a piece of an answer."""
_HANG = 60.0
"""Seconds: longer than anybody waits."""
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


class Seen(Struct, frozen=True):
    """A request, as tests ask about it."""

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
    nap: float = 0.0
    """Seconds before each answer, so that there is something to see."""
    limit_every: int = 0
    """Each so-many-th request is refused once, for a second, as a rate limit; 0: none."""
    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    _asked: Counter[str] = field(default_factory=Counter)
    _cached: set[str] = field(default_factory=set)
    _loop: asyncio.AbstractEventLoop | None = None
    _thread: threading.Thread | None = None
    _ready: threading.Event = field(default_factory=threading.Event)
    _end: asyncio.Event | None = None

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop and self._end and self._thread:
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join()

    def forget(self) -> None:
        """Be as new."""
        self.seen.clear()
        self._asked.clear()
        self._cached.clear()
        self.most_under_way = 0

    def of(self, item: str) -> list[Seen]:
        """The requests of one item."""
        return [seen for seen in self.seen if seen.item == item]

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        talks: set[asyncio.Task[None]] = set()

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            if task:
                talks.add(task)
            try:
                while await self._answer_one(reader, writer):
                    pass
            except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass  # whoever asked has gone, or the server ends
            finally:
                if task:
                    talks.discard(task)
                writer.transport.abort()

        server = await asyncio.start_server(talk, "127.0.0.1", 0, limit=2**20)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._end.wait()
        server.close()
        for task in tuple(talks):
            task.cancel()
        await asyncio.gather(*talks, return_exceptions=True)

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; false: the connection is over."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
        }
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        path = head[0].split(" ")[1].partition("?")[0]
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            return await self._route(path, headers, body, writer)
        finally:
            self.under_way -= 1

    async def _route(
        self, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter
    ) -> bool:
        given = headers.get("authorization", "").removeprefix("Bearer ") or headers.get("x-api-key", "")
        is_count = path == "/v1/messages/count_tokens"
        if path != "/v1/messages" and not (is_count and self.counts):
            return await self._refuse(writer, 404, f"there is nothing at {path}")
        if given != self.key:
            return await self._refuse(writer, 401, f"the key {given} is not valid")
        request = json.loads(body)
        if is_count:
            return await self._reply(writer, 200, {"input_tokens": _tokens(body)})
        return await self._play(writer, request, body)

    async def _play(self, writer: asyncio.StreamWriter, request: dict[str, Any], body: bytes) -> bool:
        """Answer as the script says."""
        try:
            step = self._with_key(next_step(request))
        except ValueError as error:
            return await self._refuse(writer, 400, f"the script can't be read: {error}")
        fault = self._fault(step, body)
        if self.limit_every and (len(self.seen) + 1) % self.limit_every == 0:
            fault = Fault("fail", "429", after="1")
        self._see("/v1/messages", request, body, fault)
        await asyncio.sleep(step.nap or self.nap)
        match fault:
            case Fault("fail"):
                return await self._refuse(
                    writer, int(fault.what), "this is what the script says", fault.after
                )
            case Fault("overflow"):
                text = f"prompt is too long: {len(body)} bytes > {fault.what} maximum"
                return await self._refuse(writer, 400, text)
            case Fault("leak"):
                text = f"bad request with the key {self.key}, in full: {self.key}"
                return await self._refuse(writer, 400, text)
        return await self._stream(writer, request, body, step, fault)

    def _with_key(self, step: Step) -> Step:
        r"""A step in which the key stands where the script says \k."""
        blocks = json.dumps(step.blocks).replace("\\\\k", self.key)
        return replace(step, blocks=tuple(json.loads(blocks)))

    def _fault(self, step: Step, body: bytes) -> Fault | None:
        """What goes wrong this time."""
        times = self._asked[digest := hashlib.sha256(body).hexdigest()]
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

    def _see(self, path: str, request: dict[str, Any], body: bytes, fault: Fault | None) -> None:
        turn = sum(message["role"] == "assistant" for message in request["messages"])
        status = int(fault.what) if fault and fault.kind == "fail" else 200
        last = json.dumps(request["messages"][-1], ensure_ascii=False)
        start = _start(request)
        self.seen.append(
            Seen(
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

    async def _stream(
        self,
        writer: asyncio.StreamWriter,
        request: dict[str, Any],
        body: bytes,
        step: Step,
        fault: Fault | None,
    ) -> bool:
        usage = self._usage(request, body)
        events = list(_events(step, request["model"], usage))
        last = len(events) // 2 if fault else len(events)
        writer.write(_head(200, "text/event-stream", "transfer-encoding: chunked"))
        for event in events[:last]:
            _send(writer, event)
            await writer.drain()
        if fault and fault.what == "hang":
            await asyncio.sleep(_HANG)
        if fault and fault.what == "reset":
            writer.transport.abort()
            return False
        if fault and fault.what == "error":
            said = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
            _send(writer, said)
        writer.write(b"0\r\n\r\n")
        await writer.drain()
        return True

    def _usage(self, request: dict[str, Any], body: bytes) -> dict[str, int]:
        """Counts as a server with a cache would give them."""
        start = _start(request)
        shared = _tokens(json.dumps([request.get("tools"), request.get("system")]).encode())
        was_there = start in self._cached
        self._cached.add(start)
        return {
            "input_tokens": max(1, _tokens(body) - shared),
            "output_tokens": 1,
            "cache_read_input_tokens": shared if was_there else 0,
            "cache_creation_input_tokens": 0 if was_there else shared,
        }

    async def _refuse(self, writer: asyncio.StreamWriter, status: int, text: str, after: str = "") -> bool:
        kind = _TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")
        said = {"type": "error", "error": {"type": kind, "message": text}}
        return await self._reply(writer, status, said, *((f"retry-after: {after}",) if after else ()))

    async def _reply(
        self, writer: asyncio.StreamWriter, status: int, said: dict[str, Any], *more: str
    ) -> bool:
        body = json.dumps(said).encode()
        writer.write(_head(status, "application/json", f"content-length: {len(body)}", *more) + body)
        await writer.drain()
        return True


def _head(status: int, kind: str, *lines: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {status} Scripted", f"content-type: {kind}", *lines, "", "")).encode()


def _send(writer: asyncio.StreamWriter, event: dict[str, Any]) -> None:
    data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")


def _tokens(body: bytes) -> int:
    return len(body) // 4 + 1


def _start(request: dict[str, Any]) -> str:
    shared = json.dumps([request.get("tools"), request.get("system"), request["model"]])
    return hashlib.sha256(shared.encode()).hexdigest()[:16]


def _arguments(given: dict[str, Any] | str) -> str:
    return given if isinstance(given, str) else json.dumps(given)


def _events(step: Step, model: str, usage: dict[str, int]) -> Iterator[dict[str, Any]]:
    """The events of an answer."""
    message = {"id": "msg_scripted", "type": "message", "role": "assistant", "model": model, "content": []}
    start = {**message, "stop_reason": None, "stop_sequence": None, "usage": usage}
    yield {"type": "message_start", "message": start}
    written = 0
    for index, block in enumerate(step.blocks):
        is_text = block["type"] == "text"
        text = block["text"] if is_text else _arguments(block["input"])
        empty = {"type": "text", "text": ""} if is_text else {**block, "input": {}}
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        for at in range(0, len(text), _CHUNK):
            piece = text[at : at + _CHUNK]
            delta = (
                {"type": "text_delta", "text": piece}
                if is_text
                else {"type": "input_json_delta", "partial_json": piece}
            )
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
        written += _tokens(text.encode())
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": step.stop, "stop_sequence": None},
        "usage": {"output_tokens": max(1, written)},
    }
    yield {"type": "message_stop"}
