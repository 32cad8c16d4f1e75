"""The answer of the model, put together from its events in time that is linear in their size.

Nothing that a server sends is trusted to have the shape that it should have: what cannot be understood is a
`BadStreamError`, unknown events and fields are left out, and what is not counted stays unknown.
"""

import json
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.json_text import make_encodable
from gitbatch.web.sse import BadStreamError, ServerEvent

_PIECES = {"text_delta": "text", "thinking_delta": "thinking", "input_json_delta": "partial_json"}
"""The kinds of delta that come in pieces, and the field that has the piece."""
_COUNTS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
_MOST_TOKENS = 10**12


class StreamEvent(Struct, frozen=True):
    """One event of an answer, as far as it is used."""

    type: str = ""
    index: int = 0
    message: dict[str, Any] = {}
    content_block: dict[str, Any] = {}
    delta: dict[str, Any] = {}
    usage: Any = None
    error: Any = None

    def get_piece(self, kind: str) -> str:
        """Returns the text that a delta of a kind adds; empty for other events."""
        if self.type != "content_block_delta" or self.delta.get("type") != kind:
            return ""
        text = self.delta.get(_PIECES[kind])
        return text if isinstance(text, str) else ""


def parse_event(event: ServerEvent) -> StreamEvent:
    """Returns what an event says. Its type is the one in its data; where it has none, its name.

    Raises:
        BadStreamError: its data is not a JSON object with the fields that it should have.
    """
    try:
        parsed = msgspec.convert(json.loads(event.data), StreamEvent)
    except (ValueError, RecursionError, msgspec.ValidationError):
        raise BadStreamError("it has an event that is not JSON of the Messages API") from None
    return parsed if parsed.type else replace(parsed, type=event.name)


@dataclass(slots=True)
class _Block:
    """A block of the content, as it grows."""

    start: dict[str, Any]
    pieces: dict[str, list[str]] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    is_broken: bool = False

    def add_delta(self, delta: dict[str, Any]) -> None:
        """Takes in a delta; one of an unknown kind is left out."""
        kind = delta.get("type")
        name = _PIECES.get(kind) if isinstance(kind, str) else None
        if name:
            self.pieces.setdefault(name, []).append(_get_text(delta, name))
        elif kind == "signature_delta":
            self.more["signature"] = _get_text(delta, "signature")
        elif kind == "citations_delta" and "citation" in delta:
            self.more.setdefault("citations", []).append(delta["citation"])

    def to_content(self) -> dict[str, Any]:
        """Returns the block as it is sent back; the input of a tool is empty if it is not an object."""
        joined = {name: _join_pieces(pieces) for name, pieces in self.pieces.items()}
        arguments = joined.pop("partial_json", "")
        added = {name: f"{self.start.get(name) or ''}{text}" for name, text in joined.items()}
        block = {**self.start, **added, **self.more}
        if block["type"] == "tool_use" or arguments:
            given = _parse_object(arguments) if arguments else block.get("input", {})
            self.is_broken = not isinstance(given, dict)
            block["input"] = {} if self.is_broken else given
        return block


@dataclass(slots=True)
class IncomingMessage:
    """An answer that is being received."""

    limit: int
    """Characters that it may have."""
    has_begun: bool = False
    model: str = ""
    stop: str = ""
    """Why it ended; empty: it has not."""
    refusal: str = ""
    size: int = 0
    broken: frozenset[str] = frozenset()
    """Ids of the tool calls whose arguments are not an object: known when `content` has been asked for."""
    _blocks: dict[int, _Block] = field(default_factory=dict)
    _counts: dict[str, int] = field(default_factory=dict)
    _has_output_count: bool = False

    @property
    def is_too_large(self) -> bool:
        """Whether it has more characters than it may have."""
        return self.size > self.limit

    @property
    def is_counted(self) -> bool:
        """Whether the server says what it used: no request reads nothing."""
        read = sum(count for name, count in self._counts.items() if name != "output_tokens")
        return read > 0 and (self._has_output_count or not self.stop)

    def get_count(self, name: str) -> int:
        """Returns a number of tokens; 0 if it is not known."""
        return self._counts.get(name, 0)

    def take_event(self, event: StreamEvent) -> None:
        """Takes in the next event.

        Raises:
            BadStreamError: it has no place in the answer.
        """
        match event.type:
            case "message_start":
                self.has_begun = True
                self.model = _get_text(event.message, "model")
                self._take_counts(event.message.get("usage"))
            case "content_block_start":
                self.size += len(str(event.content_block))
                self._blocks[event.index] = _Block(_require_block_fields(event.content_block))
            case "content_block_delta":
                if event.index not in self._blocks:
                    raise BadStreamError("it has a part of a block that did not begin")
                self.size += sum(len(event.get_piece(kind)) for kind in _PIECES)
                self._blocks[event.index].add_delta(event.delta)
            case "message_delta":
                self._take_message_delta(event)
            case _:
                pass

    def build_content(self) -> tuple[dict[str, Any], ...]:
        """Returns the blocks as they are sent back: no server takes an empty text."""
        blocks = [(block, block.to_content()) for block in self._blocks.values()]
        self.broken = frozenset(str(content.get("id")) for block, content in blocks if block.is_broken)
        return tuple(
            make_encodable(content)
            for _, content in blocks
            if content["type"] != "text" or content.get("text")
        )

    def _take_message_delta(self, event: StreamEvent) -> None:
        self.stop = _get_text(event.delta, "stop_reason") or self.stop
        details = event.delta.get("stop_details")
        if isinstance(details, dict):
            self.refusal = _get_text(details, "explanation") or _get_text(details, "category")
        self._take_counts(event.usage)
        self._has_output_count = isinstance(event.usage, dict) and _is_count(event.usage.get("output_tokens"))

    def _take_counts(self, usage: object) -> None:
        """Takes in counts: they are totals so far, and some servers give 0 where they do not know yet."""
        if isinstance(usage, dict):
            for name in _COUNTS:
                if _is_count(usage.get(name)):
                    self._counts[name] = max(self.get_count(name), usage[name])


def _require_block_fields(block: dict[str, Any]) -> dict[str, Any]:
    needed = ("type", "id", "name") if block.get("type") == "tool_use" else ("type",)
    if not all(_get_text(block, name) for name in needed):
        raise BadStreamError("it has a block without a type, or a tool call without a name")
    return block


def _get_text(values: dict[str, Any], name: str) -> str:
    value = values.get(name)
    return value if isinstance(value, str) else ""


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS


def _join_pieces(pieces: list[str]) -> str:
    """Returns pieces as one text; half a character, which cannot be sent back, becomes a question mark."""
    return "".join(pieces).encode(errors="replace").decode()


def _parse_object(arguments: str) -> object:
    try:
        return make_encodable(json.loads(arguments))
    except (ValueError, RecursionError):
        return None
