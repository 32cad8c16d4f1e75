"""An answer is put together from its events; what a server sends may have any shape."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbatch.agents.anthropic.message import IncomingMessage, parse_event
from gitbatch.web.sse import BadStreamError, ServerEvent

USAGE = {"input_tokens": 7, "output_tokens": 1, "cache_read_input_tokens": 5}


def received(*events: dict[str, Any], limit: int = 1000) -> IncomingMessage:
    message = IncomingMessage(limit)
    for event in events:
        message.take_event(parse_event(ServerEvent("", json.dumps(event))))
    return message


def start(usage: object = USAGE) -> dict[str, Any]:
    return {"type": "message_start", "message": {"model": "m", "usage": usage}}


def block(index: int = 0, **content: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a block
    return {"type": "content_block_start", "index": index, "content_block": content}


def delta(kind: str, index: int = 0, **what: Any) -> dict[str, Any]:  # noqa: ANN401 - fields of a delta
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **what}}


def end(stop: str = "end_turn", usage: object = {"output_tokens": 9}, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"type": "message_delta", "delta": {"stop_reason": stop, **more}, "usage": usage}


TOOL = block(type="tool_use", id="t", name="n", input={})


def test_blocks_grow_by_their_pieces() -> None:
    message = received(
        start(),
        block(0, type="thinking", thinking="", signature=""),
        delta("thinking_delta", thinking="hm"),
        delta("thinking_delta", thinking="m"),
        delta("signature_delta", signature="s"),
        block(3, type="text", text="a"),
        delta("text_delta", 3, text="b"),
        delta("citations_delta", 3, citation={"c": 1}),
        delta("new_delta", 3, text="x"),
        block(4, type="text", text=""),
        {"type": "new_event", "anything": 1},
        block(5, type="tool_use", id="t", name="n", input={}),
        delta("input_json_delta", 5, partial_json='{"a": "\\ud83d'),
        delta("input_json_delta", 5, partial_json='\\ude00"}'),
        end("tool_use"),
        {"type": "message_stop"},
    )
    assert message.build_content() == (
        {"type": "thinking", "thinking": "hmm", "signature": "s"},
        {"type": "text", "text": "ab", "citations": [{"c": 1}]},
        {"type": "tool_use", "id": "t", "name": "n", "input": {"a": "😀"}},
    )
    assert (message.has_begun, message.stop, message.model, message.broken) == (
        True,
        "tool_use",
        "m",
        frozenset(),
    )


@pytest.mark.parametrize("arguments", ["{bad}", "[1]", "1", '{"a": "half', "[" * 100_000])
def test_arguments_that_are_no_object_are_told_apart(arguments: str) -> None:
    message = received(start(), TOOL, delta("input_json_delta", partial_json=arguments), end())
    assert message.build_content() == ({"type": "tool_use", "id": "t", "name": "n", "input": {}},)
    assert message.broken == {"t"}


def test_arguments_may_stand_where_the_block_begins() -> None:
    whole = block(type="tool_use", id="t", name="n", input={"a": 1})
    assert received(start(), whole, end()).build_content() == (whole["content_block"],)
    assert received(start(), block(type="tool_use", id="t", name="n")).build_content()[0]["input"] == {}


def test_half_a_character_becomes_one_that_can_be_sent() -> None:
    message = received(start(), block(type="text", text=""), delta("text_delta", text="\ud83d"))
    assert message.build_content() == ({"type": "text", "text": "?"},)


@pytest.mark.parametrize(
    ("first", "last", "counted", "tokens"),
    [
        (USAGE, {"output_tokens": 9}, True, (7, 9)),
        ({"input_tokens": 0, "output_tokens": 0}, {"output_tokens": 9, "input_tokens": 70}, True, (70, 9)),
        (USAGE, {"output_tokens": 9, "input_tokens": 0}, True, (7, 9)),
        (None, {"output_tokens": 9}, False, (0, 9)),
        (USAGE, None, False, (7, 1)),
        ({"input_tokens": 0, "output_tokens": 0}, {"output_tokens": 0}, False, (0, 0)),
        ({"input_tokens": "7"}, {"output_tokens": -9}, False, (0, 0)),
        ({"input_tokens": True}, {"output_tokens": 10**30}, False, (0, 0)),
        ([7], "9", False, (0, 0)),
    ],
)
def test_what_is_not_counted_is_not_known(
    first: object, last: object, *, counted: bool, tokens: tuple[int, int]
) -> None:
    message = received(start(first), block(type="text", text="x"), end(usage=last))
    assert message.is_counted == counted
    assert (message.get_count("input_tokens"), message.get_count("output_tokens")) == tokens


def test_of_an_answer_that_is_not_complete_the_input_is_known() -> None:
    assert received(start()).is_counted
    assert not received(start(None)).is_counted


def test_why_it_refuses() -> None:
    assert received(start(), end("refusal", stop_details={"explanation": "no"})).refusal == "no"
    assert (
        received(start(), end("refusal", stop_details={"category": "c", "explanation": None})).refusal == "c"
    )
    assert received(start(), end("refusal", stop_details=7)).refusal == ""


def test_it_has_a_limit() -> None:
    pieces = [delta("input_json_delta", partial_json="x" * 100)] * 3
    assert not received(start(), TOOL, *pieces, limit=400).is_too_large
    assert received(start(), TOOL, *pieces, limit=300).is_too_large
    assert received(start(), block(type="text", text="x" * 400), limit=300).is_too_large


@pytest.mark.parametrize(
    "event",
    [
        {"type": "content_block_delta", "index": 4, "delta": {}},
        {"type": "content_block_start", "index": "0"},
        {"type": "content_block_start", "content_block": {}},
        block(type="tool_use", name="n"),
        block(type="tool_use", id=7, name="n"),
        {"type": 7},
        {"type": "message_start", "message": None},
        [1],
    ],
)
def test_what_can_not_be_understood_is_an_error_of_its_own(event: dict[str, Any]) -> None:
    with pytest.raises(BadStreamError):
        received(event)


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["text", "tool_use", "text_delta", "id", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "id", "name", "text", "partial_json", "usage", "input_tokens", "input", "citation"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
EVENT = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["message_start", "content_block_start", "content_block_delta", "message_delta"]
        )
    },
    optional=dict.fromkeys(("message", "content_block", "delta", "usage", "index"), ANY),
)


@given(st.lists(EVENT, max_size=6))
def test_no_event_raises_anything_else(events: list[dict[str, Any]]) -> None:
    message = IncomingMessage(1000)
    for event in events:
        try:
            message.take_event(parse_event(ServerEvent("", json.dumps(event))))
        except BadStreamError:
            continue
    assert isinstance(message.build_content(), tuple)
