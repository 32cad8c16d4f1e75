"""The events that Claude Code prints with `--output-format stream-json`: one JSON object a line, parsed into values.

Qwen Code prints nearly the same. `type` need not be the first key.
"""

from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct, field


class EventKind(StrEnum):
    """The kinds of events that mean something here."""

    ASSISTANT = "assistant"
    TOOL_RESULTS = "user"
    INIT = "init"
    DENIED = "permission_denied"
    RETRY = "api_retry"
    RESULT = "result"
    OTHER = "other"


class EventPart(Struct, frozen=True):
    """A part of a message: a text, a call of a tool, or the result of one."""

    type: str = ""
    text: str = ""
    id: str = ""
    name: str = ""
    input: Any = None
    tool_use_id: str = ""
    is_error: bool | None = None
    content: Any = None

    @property
    def result_text(self) -> str:
        """The text of the result of a tool."""
        if isinstance(self.content, str):
            return self.content
        parts = self.content if isinstance(self.content, list) else []
        return " ".join(str(part["text"]) for part in parts if isinstance(part, dict) and "text" in part)


class TokenCounts(Struct, frozen=True):
    """Tokens as the server counts them; the input is without those of the cache."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    total_tokens: int | None = None
    """Only Qwen Code says it; its input has those of the cache in it."""


class EventMessage(Struct, frozen=True):
    """A message of the model, or the results of its tools."""

    id: str = ""
    model: str = ""
    content: str | list[EventPart] = ""
    usage: TokenCounts | None = None

    @property
    def blocks(self) -> list[EventPart]:
        """Its parts; a message that is a text has none."""
        return [] if isinstance(self.content, str) else self.content


class ModelUsage(Struct, frozen=True, rename="camel"):
    """The tokens of one of the models."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0


class Denial(Struct, frozen=True):
    """A call of a tool that was not allowed."""

    tool_name: str = ""
    tool_use_id: str = ""
    tool_input: Any = None


class ErrorObject(Struct, frozen=True):
    """The error of a result of Qwen Code."""

    message: str = ""


class Event(Struct, frozen=True):
    """One line. The fields of all kinds are here: each kind has its own, which are empty in the others."""

    type: str
    subtype: str = ""
    message: EventMessage | str | None = None
    error: str | ErrorObject | None = None
    """Of an assistant event: why the request failed."""
    tool_name: str = ""
    tool_use_id: str = ""
    retry_delay_ms: float | None = None
    error_status: int | None = None
    model: str = ""
    claude_code_version: str = ""
    is_error: bool | None = None
    result: str | None = None
    errors: list[Any] = []
    terminal_reason: str | None = None
    stop_reason: str | None = None
    api_error_status: int | None = None
    num_turns: int | None = None
    total_cost_usd: float | None = None
    usage: TokenCounts | None = None
    model_usage: dict[str, ModelUsage] = field(default_factory=dict, name="modelUsage")
    permission_denials: list[Denial] = []

    @property
    def kind(self) -> EventKind:
        """Its kind."""
        name = self.subtype if self.type == "system" else self.type
        return EventKind(name) if name in _KINDS.get(self.type, ()) else EventKind.OTHER

    @property
    def error_name(self) -> str:
        """The name of its error; empty if it has none."""
        return self.error if isinstance(self.error, str) else ""

    @property
    def error_text(self) -> str:
        """What its error says; empty if it has none."""
        return self.error.message if isinstance(self.error, ErrorObject) else ""

    @property
    def blocks(self) -> list[EventPart]:
        """The parts of its message."""
        return self.message.blocks if isinstance(self.message, EventMessage) else []


_KINDS = {
    "system": frozenset({EventKind.INIT, EventKind.DENIED, EventKind.RETRY}),
    **{
        str(kind): frozenset({kind})
        for kind in (EventKind.ASSISTANT, EventKind.TOOL_RESULTS, EventKind.RESULT)
    },
}
EVENTS = msgspec.json.Decoder(Event)
