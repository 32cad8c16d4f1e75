"""The usage in answers of four APIs, whole and streamed, in pieces of any size."""

import json
from typing import Any

import pytest

from gitbatch.api_proxy.answer_usage import AnswerUsage
from gitbatch.api_proxy.proxy_log import ProxyLog
from gitbatch.limits.usage import Usage
from gitbatch.text import clean_text


def sse(*events: dict[str, Any]) -> bytes:
    return "".join(
        f"event: {event.get('type', 'x')}\ndata: {json.dumps(event)}\n\n" for event in events
    ).encode()


ANTHROPIC = {
    "input_tokens": 10,
    "output_tokens": 1,
    "cache_read_input_tokens": 5,
    "cache_creation_input_tokens": 7,
}
OPENAI = {"prompt_tokens": 30, "completion_tokens": 4, "prompt_tokens_details": {"cached_tokens": 20}}
RESPONSES = {"input_tokens": 30, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 20}}
GEMINI = {
    "promptTokenCount": 30,
    "candidatesTokenCount": 3,
    "thoughtsTokenCount": 1,
    "cachedContentTokenCount": 20,
}
EVENTS, JSON = "text/event-stream; charset=utf-8", "application/json"


def usage(
    read: int = 0, written: int = 0, cache_read: int = 0, cache_write: int = 0, model: str = "m"
) -> Usage:
    return Usage(clean_text(model), read, written, cache_read, cache_write, 1)


@pytest.mark.parametrize(
    ("kind", "answer", "expected"),
    [
        (JSON, json.dumps({"model": "m", "usage": ANTHROPIC}).encode(), usage(10, 1, 5, 7)),
        (
            EVENTS,
            sse(
                {"type": "message_start", "message": {"model": "m", "usage": ANTHROPIC}},
                {"type": "content_block_delta", "delta": {"text": '"usage": {"output_tokens": 999}'}},
                {"type": "message_delta", "usage": {"output_tokens": 42}},
                {"type": "message_delta", "usage": {"output_tokens": 0}},
            ),
            usage(10, 42, 5, 7),
        ),
        (JSON, json.dumps({"model": "m", "usage": OPENAI}).encode(), usage(10, 4, 20)),
        (EVENTS, sse({"model": "m", "usage": None}, {"model": "m", "usage": OPENAI}), usage(10, 4, 20)),
        (JSON, json.dumps({"model": "m", "usage": RESPONSES}).encode(), usage(10, 4, 20)),
        (
            EVENTS,
            sse({"type": "response.completed", "response": {"model": "m", "usage": RESPONSES}}),
            usage(10, 4, 20),
        ),
        (JSON, json.dumps({"modelVersion": "m", "usageMetadata": GEMINI}).encode(), usage(10, 4, 20)),
        (
            EVENTS,
            sse({"usageMetadata": {"promptTokenCount": 30}}, {"modelVersion": "m", "usageMetadata": GEMINI}),
            usage(30, 4, 20),
        ),
        (
            JSON,
            json.dumps([{"modelVersion": "m", "usageMetadata": GEMINI}, {"usageMetadata": GEMINI}]).encode(),
            usage(10, 4, 20),
        ),
        # What is not understood is not counted: the request alone is.
        (JSON, b'{"model": "m"}', usage()),
        (JSON, b"not JSON", usage(model="")),
        (JSON, b'[{"usage": 1}]', usage(model="")),
        (JSON, b'{"usage": {"input_tokens": -5}}', usage(model="")),
        (JSON, b'{"usage": {"input_tokens": "many"}}', usage(model="")),
        (JSON, b"[" * 100_000, usage(model="")),
        ("text/html", b'{"usage": {"input_tokens": 5}}', usage(model="")),
        (EVENTS, b'data: {"usage": {"input_tokens": 5}\n\ndata: usage\n\n', usage(model="")),
        (EVENTS, b'data: \xff "usage"\n\n' + sse({"usage": ANTHROPIC}), usage(model="")),
        (EVENTS, b'data: {"usage": {"output_tokens": 5}}', usage(0, 5, model="")),
        (JSON, b" " * (16 * 1024 * 1024 + 1) + b'{"usage": {"input_tokens": 5}}', usage(model="")),
    ],
)
def test_usage(kind: str, answer: bytes, expected: Usage) -> None:
    whole = AnswerUsage(kind)
    whole.feed_bytes(answer)
    whole.finish()
    assert whole.usage == expected
    if len(answer) < 10_000:
        pieces = AnswerUsage(kind)
        for index in range(len(answer)):
            pieces.feed_bytes(answer[index : index + 1])
        pieces.finish()
        assert pieces.usage == expected


def test_a_program_that_asks_without_end() -> None:
    """The last thousand answers are kept, and sums of those before: by model, for fifty models."""
    log = ProxyLog()
    running = log.open_answer(JSON)
    for number in range(3000):
        answer = log.open_answer(JSON)
        answer.feed_bytes(json.dumps({"model": f"m{number % 60}", "usage": {"input_tokens": 2}}).encode())
        answer.finish()
    assert running in log.answers
    assert len(log.usages) == 1000 + 51
    assert sum(log.usages, Usage()).input == 6000
    assert sum(log.usages, Usage()).requests == 3001


def test_what_has_come_of_an_answer_that_is_cut_counts() -> None:
    answer = AnswerUsage(EVENTS)
    answer.feed_bytes(sse({"type": "message_start", "message": {"model": "m", "usage": ANTHROPIC}}) + b"da")
    assert answer.usage == usage(10, 1, 5, 7)


def test_answer_that_is_cut_counts_its_pieces() -> None:
    """A program could close each answer just before the server says how much it has written."""
    start = b'event: message_start\ndata: {"message": {"model": "m", "usage": {"input_tokens": 9, "output_tokens": 1}}}\n\n'
    piece = b'event: content_block_delta\ndata: {"delta": {"text": "a usage"}}\n\n'
    end = b'event: message_delta\ndata: {"usage": {"output_tokens": 4}}\n\n'
    for pieces, output in ((b"", 1), (piece * 7, 7), (piece * 7 + piece[:-9], 8), (piece * 7 + end, 4)):
        answer = AnswerUsage("text/event-stream")
        answer.feed_bytes(start + pieces)
        answer.finish()
        assert (answer.usage.input, answer.usage.output) == (9, output)
    unknown = AnswerUsage("text/event-stream")  # one that does not say what it read has no known cost
    unknown.feed_bytes(piece * 7)
    unknown.finish()
    assert unknown.usage.total_tokens == 0
