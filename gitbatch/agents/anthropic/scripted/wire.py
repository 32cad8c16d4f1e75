"""The answers of the scripted server in the form of the Messages API: headers, events, whole messages."""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from gitbatch.agents.anthropic.scripted.script import Step

_CHUNK = 48
"""Characters of a piece of an answer."""


def response_head(status: int, kind: str, *lines: str) -> bytes:
    """Returns the start of an answer."""
    return "\r\n".join((f"HTTP/1.1 {status} Scripted", f"content-type: {kind}", *lines, "", "")).encode()


def encode_chunk(event: dict[str, Any]) -> bytes:
    """Returns an event as a encode_chunk of a stream."""
    data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def count_tokens(body: bytes) -> int:
    """Returns how many tokens a text has, about."""
    return len(body) // 4 + 1


def hash_start(request: dict[str, Any]) -> str:
    """Returns a hash of what comes before the messages."""
    shared = json.dumps([request.get("tools"), request.get("system"), request["model"]])
    return hashlib.sha256(shared.encode()).hexdigest()[:16]


def _encode_arguments(given: dict[str, Any] | str) -> str:
    return given if isinstance(given, str) else json.dumps(given)


def whole_message(step: Step, model: str, usage: dict[str, int]) -> dict[str, Any]:
    """Returns an answer that is not streamed."""
    blocks = [
        block if block["type"] == "text" else {**block, "input": _arguments_object(block["input"])}
        for block in step.blocks
    ]
    written = sum(count_tokens(_block_text(block).encode()) for block in step.blocks)
    return {
        **_empty_message(step, model),
        "content": blocks,
        "stop_reason": step.stop,
        "stop_sequence": None,
        "usage": {**usage, "output_tokens": max(1, written)} if usage else None,
    }


def _empty_message(step: Step, model: str) -> dict[str, Any]:
    name = f"msg_scripted_{step.number}"
    return {"id": name, "type": "message", "role": "assistant", "model": model, "content": []}


def _block_text(block: dict[str, Any]) -> str:
    return str(block["text"]) if block["type"] == "text" else _encode_arguments(block["input"])


def _arguments_object(given: dict[str, Any] | str) -> dict[str, Any]:
    """Returns arguments as they can stand in JSON: invalid ones can only be streamed."""
    try:
        parsed = json.loads(_encode_arguments(given))
    except ValueError:
        parsed = None
    return parsed if isinstance(parsed, dict) else {}


def stream_events(step: Step, model: str, usage: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Yields the stream_events of an answer that is streamed."""
    start = {
        **_empty_message(step, model),
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage or None,
    }
    yield {"type": "message_start", "message": start}
    written = 0
    for index, block in enumerate(step.blocks):
        is_text = block["type"] == "text"
        text = _block_text(block)
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
        written += count_tokens(text.encode())
    yield {
        "type": "message_delta",
        "delta": {"stop_reason": step.stop, "stop_sequence": None},
        "usage": {"output_tokens": max(1, written)} if usage else None,
    }
    yield {"type": "message_stop"}
