"""Servers that are not as they should be: what they do is the matter of one request, and said in plain words."""
# ruff: noqa: F811 - fixtures are imported, and are arguments of the same name

import asyncio
import json
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from agents.stage import PRICE, Stage, base, server, stage  # noqa: F401 - fixtures
from anthropic import AnthropicError
from httpx2 import ReadError
from waiting import loop_turns

from gitbatch.agents.anthropic import message as message_module
from gitbatch.agents.anthropic.message import IncomingMessage
from gitbatch.agents.anthropic.table import AnthropicAgent
from gitbatch.agents.protocol import Failure, Reply, ReplyFlag
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause, WaitReason
from gitbatch.limits.rate_limit import RateLimit
from gitbatch.plan.model import ItemKey
from gitbatch.web.sse import EventReader, ServerEvent

USAGE = {"input_tokens": 100, "output_tokens": 1}
SUMMARY = "It was written. It is complete."
LIBRARY_WORDS = (
    *("Unterminated", "codec", "list index", "char ", "Error code", "NoneType", "object has no", "Expecting"),
    *("peer closed", "incomplete chunked", "All connection attempts", "httpx", "Connection error", "{'"),
)
NAMED = "event: {name}\ndata: {data}\n\n"


def stream(*blocks: dict[str, Any], stop: str = "tool_use", form: str = NAMED, **usage: object) -> bytes:
    """A whole answer as it goes over the wire. `first`, `last`: the usage in its start and its end."""
    start = {"model": "m", "usage": usage.get("first", USAGE)}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    for index, block in enumerate(blocks):
        events.append(
            {"type": "content_block_start", "index": index, "content_block": {**block, "input": {}}}
        )
        pieces = json.dumps(block["input"])
        for at in range(0, len(pieces), 40):
            delta = {"type": "input_json_delta", "partial_json": pieces[at : at + 40]}
            events.append({"type": "content_block_delta", "index": index, "delta": delta})
        events.append({"type": "content_block_stop", "index": index})
    last = usage.get("last", {"output_tokens": 10})
    events += [
        {"type": "message_delta", "delta": {"stop_reason": stop}, "usage": last},
        {"type": "message_stop"},
    ]
    return "".join(form.format(name=event["type"], data=json.dumps(event)) for event in events).encode()


def call(name: str, **arguments: object) -> dict[str, Any]:
    return {"type": "tool_use", "id": f"call-{name}", "name": name, "input": arguments}


def answer(content: bytes, status: int = 200, kind: str = "text/event-stream", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\ncontent-length: {len(content)}\r\nconnection: close\r\n{more}\r\n"
    return head.encode() + content


WORK = (call("write_output", content="# Page\n"), call("finish", summary=SUMMARY))
GOOD = answer(stream(*WORK))


def talk(
    stage: Stage,
    *answers: bytes,
    probe: Callable[[], None] | None = None,
    **table: Any,  # noqa: ANN401 - fields of a table
) -> Reply | Failure:
    """A conversation with a server that gives these answers, the last one again and again."""
    asked: list[bytes] = []
    stage.asked_raw = asked

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        size = int(head.partition("content-length: ")[2].partition("\r\n")[0])
        asked.append(await reader.readexactly(size))
        writer.write(answers[min(len(asked), len(answers)) - 1])
        with suppress(OSError):
            await writer.drain()
        writer.close()

    async def scene() -> Reply | Failure:
        listening = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        stage.table = AnthropicAgent(model="m", base_url=url, price=PRICE, **table)
        agent = stage.agent()
        probing = asyncio.ensure_future(_each_turn(probe)) if probe else None
        try:
            return await agent.run(
                assigned := stage.assignment("write it"), stage.place(assigned), stage.hear
            )
        finally:
            if probing:
                probing.cancel()
            await agent.close()
            listening.close()

    return asyncio.run(scene())


async def _each_turn(probe: Callable[[], None]) -> None:
    while True:
        probe()
        await loop_turns()


def waits(stage: Stage) -> list[str]:
    """The reasons of the waits."""
    told: list[str] = []
    stage.rate_limit = RateLimit(listener=lambda _, why: told.append(why))
    return told


def assert_own_words(stage: Stage, result: Reply | Failure) -> None:
    said = "\n".join(
        (stage.lines(), *((result.reason, *result.details) if isinstance(result, Failure) else ()))
    )
    assert [words for words in LIBRARY_WORDS if words in said] == [], said


@pytest.mark.rule("E1")
@pytest.mark.parametrize(
    "usage", [None, {}, {"input_tokens": 0, "output_tokens": 0}, {"input_tokens": None}, 7]
)
def test_what_a_server_does_not_count_is_unknown_and_not_0(stage: Stage, usage: object) -> None:
    result = talk(stage, answer(stream(*WORK, first=usage, last=usage)))
    assert isinstance(result, Reply)
    assert (result.usage.requests, result.usage.total_tokens, result.usage.cost) == (1, 0, None)
    assert result.usage.is_uncounted
    assert ReplyFlag.USAGE_MISSING in result.flags


def test_a_start_without_usage_is_no_error(stage: Stage) -> None:
    content = stream(*WORK).replace(b', "usage": {"input_tokens": 100, "output_tokens": 1}', b"")
    result = talk(stage, answer(content))
    assert isinstance(result, Reply)
    assert result.usage.cost is None


@pytest.mark.parametrize("limit", [{"max_tokens": 10_000}, {"max_cost": 1.0}, {}])
def test_no_limit_is_kept_by_a_server_that_does_not_count(stage: Stage, limit: dict[str, Any]) -> None:
    stage.budget = Budget(max_tokens=None if limit else 10_000)
    result = talk(stage, answer(stream(call("read_file", path="rules.md"), first=None)), **limit)
    assert isinstance(result, Failure)
    assert result.cause is Cause.FATAL
    assert "does not report how many tokens it used" in result.reason
    assert len(stage.asked_raw) == 1


def cut_at(content: bytes, *end: bytes) -> bytes:
    """An answer that ends in its middle, and with something else."""
    half = content.split(b"\n\n")
    return answer(b"\n\n".join((*half[: len(half) // 2], b"".join(end))))


CUTS = {
    "plain text": cut_at(stream(*WORK), b"event: error\ndata: upstream connect error\n\n"),
    "JSON of another form": cut_at(stream(*WORK), b'event: error\ndata: {"error": "boom"}\n\n'),
    "JSON without a type": cut_at(stream(*WORK), b'event: error\ndata: {"error": {"message": "boom"}}\n\n'),
    "a list": cut_at(stream(*WORK), b"event: error\ndata: [1]\n\n"),
    "nothing": cut_at(stream(*WORK), b"event: error\ndata: null\n\n"),
    "an error by its type": cut_at(
        stream(*WORK), b'data: {"type": "error", "error": {"message": "boom"}}\n\n'
    ),
    "api error": cut_at(
        stream(*WORK), b'event: error\ndata: {"error": {"type": "api_error", "message": "x"}}\n\n'
    ),
    "half a line": cut_at(stream(*WORK), b'event: content_block_stop\ndata: {"type": "cont'),
    "half of JSON": cut_at(stream(*WORK), b'event: content_block_stop\ndata: {"type": "cont\n\n'),
    "bytes": cut_at(stream(*WORK), b"event: ping\ndata: \xff\n\n"),
    "a wrong index": cut_at(
        stream(*WORK), b'event: x\ndata: {"type": "content_block_delta", "index": 7}\n\n'
    ),
    "another shape": cut_at(stream(*WORK), b'event: x\ndata: {"type": 7}\n\n'),
    "deep JSON": cut_at(stream(*WORK), b"event: x\ndata: " + b"[" * 100_000 + b"\n\n"),
    "too few bytes": GOOD.replace(b"content-length: ", b"content-length: 9")[:-600],
    "no start": answer(b'event: ping\ndata: {"type": "ping"}\n\n'),
    "a chunk": b"HTTP/1.1 200 X\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n9\r\nevent",
    "compression": answer(b"no gzip", more="content-encoding: gzip\r\n"),
    "a mistake before its start": answer(b"event: message_start\ndata: {bad\n\n"),
    "a nameless ping": answer(b'data: {"type": "ping"}\n\n'),
    "a nameless half": cut_at(stream(*WORK), b"data: {bad\n\n"),
    "JSON": answer(b'{"id": "x"}', kind="application/json"),
    "no content": b"HTTP/1.1 204 X\r\n\r\n",
}


@pytest.mark.rule("E1")
@pytest.mark.parametrize("how", CUTS)
def test_an_answer_that_is_cut_is_waited_for_and_asked_for_again(stage: Stage, how: str) -> None:
    told = waits(stage)
    result = talk(stage, CUTS[how], GOOD)
    assert isinstance(result, Reply), result
    assert told == [WaitReason.ANSWER_CUT]
    assert "the answer was cut: " in stage.lines()
    assert_own_words(stage, result)


UNREADABLE = ("nothing", "no start", "a mistake before its start", "a nameless ping", "JSON", "no content")


@pytest.mark.parametrize("how", UNREADABLE)
def test_what_an_unreadable_answer_used_is_unknown_and_not_0(stage: Stage, how: str) -> None:
    content = CUTS[how] if how != "nothing" else answer(b"event: error\ndata: null\n\n")
    stage.budget = Budget(max_cost=5.0)
    result = talk(stage, content)
    assert isinstance(result, Failure)
    assert (result.usage.requests, result.usage.total_tokens, result.usage.cost) == (5, 0, None)
    assert result.usage.is_uncounted
    assert stage.budget.close_attempt(ItemKey("out/a.md"), result.usage).cost is None
    assert stage.budget.spent.unknown == 1


def test_a_server_that_refuses_in_its_first_event_has_used_nothing(stage: Stage) -> None:
    busy = b'event: error\ndata: {"error": {"type": "overloaded_error", "message": "x"}}\n\n'
    result = talk(stage, answer(busy), GOOD)
    assert isinstance(result, Reply)
    assert (result.usage.requests, result.usage.cost is None) == (1, False)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_named_and_stops_the_batch(stage: Stage, status: int) -> None:
    where = "location: https://user:secret@other.example/login?token=x\r\n"
    result = talk(stage, answer(b"", status, more=where))
    assert isinstance(result, Failure)
    assert result.cause is Cause.FATAL, "it is so for every item"
    assert stage.table.base_url
    assert result.reason == (
        f"invalid base URL: the server redirects ({status}) from {stage.table.base_url}/v1/messages"
        " to https://other.example/login"
    )
    assert len(stage.asked_raw) == 1


def test_a_redirect_to_what_is_no_address_is_named_too(stage: Stage) -> None:
    result = talk(stage, answer(b"", 302, more="location: http://[x\r\n"))
    assert isinstance(result, Failure)
    assert result.reason.endswith(" to an invalid address")


def test_an_error_without_a_reason_is_told_in_a_sentence(stage: Stage) -> None:
    result = talk(stage, CUTS["nothing"])
    assert isinstance(result, Failure)
    assert result.reason.endswith("the server ended it with an error and does not say why")


@pytest.mark.parametrize("path", ["\ud800", "a/\udfffb"])
def test_half_a_character_in_a_path_is_an_error_of_the_tool(stage: Stage, path: str) -> None:
    result = talk(stage, answer(stream(call("read_file", path=path))), GOOD)
    assert isinstance(result, Reply), result
    assert "read_file: no such file: " in stage.lines()
    assert len(stage.asked_raw) == 2
    stage.asked_raw[1].decode()


def test_half_a_character_anywhere_in_an_answer_is_replaced(stage: Stage) -> None:
    block = {
        "type": "tool_use",
        "id": "c\ud800",
        "name": "list_files",
        "input": {"folder": "x"},
        "more": ["\udc00"],
    }
    result = talk(stage, answer(stream(block)), GOOD)
    assert isinstance(result, Reply), result
    assert b"\\ud" not in stage.asked_raw[1]


def test_the_cause_of_a_call_that_was_not_done_is_the_reason(stage: Stage) -> None:
    result = talk(stage, answer(stream(call("edit_output", old="a", new="b"), WORK[1])))
    assert isinstance(result, Failure)
    assert result.reason.startswith("the same call failed 3 times: edit_output: ")


@pytest.mark.parametrize("how", CUTS)
def test_an_answer_that_is_always_cut_fails_its_item_alone(stage: Stage, how: str) -> None:
    result = talk(stage, CUTS[how])
    assert isinstance(result, Failure)
    assert result.cause is Cause.FAILED
    assert result.reason.startswith("5 requests failed: the answer was cut: ")
    assert len(stage.asked_raw) == 5
    assert_own_words(stage, result)


def stumble_once(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Let the first event of the first answer raise an error."""
    errors, take = [error], IncomingMessage.take_event

    def stumble(self: IncomingMessage, event: message_module.StreamEvent) -> None:
        if errors:
            raise errors.pop()
        take(self, event)

    monkeypatch.setattr(IncomingMessage, "take_event", stumble)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ssl.SSLError(1, "x"), "the connection was broken"),
        (ReadError("x"), "the connection was broken"),
        (UnicodeError("x"), "it cannot be read (UnicodeError)"),
        (TypeError("x"), "it cannot be read (TypeError)"),
        (AnthropicError("x"), "it cannot be read (AnthropicError)"),
    ],
)
def test_an_error_of_the_library_while_an_answer_is_read_is_one_of_the_request(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    stumble_once(monkeypatch, error)
    assert isinstance(talk(stage, GOOD), Reply)
    assert f"the answer was cut: {said}" in stage.lines()


def test_an_error_of_ours_is_left_to_the_item(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its attempt fails alone (`test_unexpected.py`), with a traceback that can be reported."""
    stumble_once(monkeypatch, KeyError("x"))
    with pytest.raises(KeyError):
        talk(stage, GOOD)


@pytest.mark.parametrize("charset", ["rot13", "idna", "utf-16", "undefined", "hex", "no-such"])
def test_an_error_in_a_character_set_that_decodes_nothing_fails_its_item_alone(
    stage: Stage, charset: str
) -> None:
    result = talk(stage, answer(b'{"error": "x"}', status=400, kind=f"application/json; charset={charset}"))
    assert isinstance(result, Failure)
    assert result.cause is Cause.FAILED


def test_a_whole_answer_counts_even_if_the_connection_breaks_after_it(stage: Stage) -> None:
    content = stream(*WORK).rpartition(b"event: message_stop")[0]
    assert isinstance(talk(stage, answer(content).replace(b"content-length: ", b"content-length: 9")), Reply)
    assert len(stage.asked_raw) == 1


def test_events_without_names_are_read_by_their_type_and_it_says_so(stage: Stage) -> None:
    result = talk(
        stage,
        answer(stream(WORK[0], form="data: {data}\n\n")),
        answer(stream(WORK[1], form="data: {data}\n\n")),
    )
    assert isinstance(result, Reply)
    assert (
        stage.lines().count("the server sends no event names: its events are read by the type in their data")
        == 1
    )


@pytest.mark.parametrize("data", [b'{"object": "chat.completion.chunk", "choices": []}', b"[DONE]"])
def test_a_server_without_event_names_that_speaks_something_else_stops_the_batch(
    stage: Stage, data: bytes
) -> None:
    result = talk(stage, answer(b"data: " + data + b"\n\n"))
    assert isinstance(result, Failure)
    assert result.cause is Cause.FATAL, "it is so for every item"
    assert "the server sends no event names" in result.reason
    assert len(stage.asked_raw) == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (answer(b"<!DOCTYPE html><title>Just a moment</title>", 403, "text/html"), "403: the server answers with a web page (Just a moment)"),
        (answer(b" <html><body>x", 404, "text/html"), "404: the server answers with a web page"),
        (answer(b'{"detail": "Not Found"}', 404, "application/json"), "404: Not Found"),
        (answer(b'{"error": "no such route"}', 404, "application/json"), "404: no such route"),
        (answer(b"", 418), "418: it does not say why"),
        (answer(b"404 page not found", 404, "text/plain"), "404: 404 page not found"),
        (answer(b'[{"x": 1}]', 400, "application/json"), "400: [{'x': 1}]"),
    ],
)  # fmt: skip
def test_an_error_is_told_in_the_server_s_words(stage: Stage, given: bytes, expected: str) -> None:
    result = talk(stage, given)
    assert isinstance(result, Failure)
    assert result.reason == expected
    assert result.cause is (Cause.FATAL if expected.startswith("403") else Cause.FAILED)


@pytest.mark.parametrize(
    "body", [b"[1]", b"{}", b'{"input_tokens": "many"}', b'{"input_tokens": null}', b"null", b"x"]
)
def test_a_count_of_tokens_may_be_anything(stage: Stage, body: bytes) -> None:
    result = talk(
        stage, answer(body, kind="application/json"), GOOD, context_window=3_000, max_output_tokens=500
    )
    assert isinstance(result, Reply)
    assert b"max_tokens" not in stage.asked_raw[0], "it was asked to count"


def test_no_connection_is_called_so(stage: Stage) -> None:
    told: list[str] = []
    stage.rate_limit = RateLimit(patience=0.01, listener=lambda _, why: told.append(why))
    stage.table = AnthropicAgent(model="m", base_url="http://127.0.0.1:1")
    failure = stage.failure("write x")
    assert failure.reason == "no connection: the server cannot be reached (Connection refused)"
    assert set(told) == {WaitReason.NO_CONNECTION}
    assert_own_words(stage, failure)


@cache
def large_stream() -> bytes:
    return stream(call("write_output", content="x" * 3_000_000), call("finish", summary=SUMMARY))


def test_a_call_of_3_megabytes_is_refused_at_the_output_limit(stage: Stage) -> None:
    result = talk(stage, answer(large_stream()), GOOD)
    assert isinstance(result, Reply)
    assert stage.output() == "# Page\n"
    assert b"Your answer was refused" in stage.asked_raw[1]
    assert len(stage.asked_raw[1]) < 20_000, "what was refused is not sent back"
    result = talk(stage, answer(large_stream()))
    assert isinstance(result, Failure)
    assert (result.cause, len(stage.asked_raw)) == (Cause.FAILED, 3)
    assert "max-output-tokens" in result.reason


def test_a_large_call_does_not_keep_the_others_waiting(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in bytes and in turns of the event loop: each byte is parsed a few times, a bounded number in a turn."""
    parsed, fed, turns = [0], [0], [0]
    loads, feed = json.loads, EventReader.feed_bytes

    def count_parsed(text: str) -> object:
        parsed[0] += len(text)
        return loads(text)

    def count_fed(self: EventReader, chunk: bytes) -> list[ServerEvent]:
        fed[0] += len(chunk)
        turns.append(turns.pop() + len(chunk))
        return feed(self, chunk)

    monkeypatch.setattr("json.loads", count_parsed)
    monkeypatch.setattr(EventReader, "feed_bytes", count_fed)
    result = talk(
        stage,
        answer(large_stream()),
        probe=lambda: turns.append(0),
        max_output_tokens=200_000,
        context_window=9**7,
    )
    assert isinstance(result, Reply)
    assert len(stage.output() or "") == 3_000_000
    assert fed[0] == len(large_stream())
    assert parsed[0] < 2 * len(large_stream())
    assert max(turns) <= 256 * 1024


@pytest.mark.parametrize("text", ["x" * 40, "x\n", "x y "])
def test_a_large_text_does_not_either(stage: Stage, text: str) -> None:
    """What is shown of it is bounded, in each piece and in all."""
    pieces = [{"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}]
    for size in (1, 200_000 // len(text)):
        delta = {"type": "text_delta", "text": text * size}
        pieces += [{"type": "content_block_delta", "index": 0, "delta": delta}] * (2_000 if size == 1 else 2)
    said = b"".join(NAMED.format(name=piece["type"], data=json.dumps(piece)).encode() for piece in pieces)
    first, _, rest = stream(*WORK).partition(b"\n\n")
    shift = rest.replace(b'"index": 1', b'"index": 2').replace(b'"index": 0', b'"index": 1')
    assert isinstance(talk(stage, answer(first + b"\n\n" + said + shift)), Reply)
    assert len(stage.said) < 5_000
