"""One request: what is asked, the answer as it streams in, and what became of it.

An answer is whole when it has a stop reason; anything else is a trouble, so that nothing is ever done with half of an
answer. Arguments of a tool that are no JSON object are the model's mistake, which it is told.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.claude.prices import Prices
from gitbatch.agents.claude.shown import Shown
from gitbatch.agents.claude.tools import TOOLS
from gitbatch.agents.claude.trouble import Trouble, cut, trouble_of
from gitbatch.agents.failures import Cause
from gitbatch.agents.protocol import Usage

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from anthropic.lib.streaming import AsyncMessageStream
    from anthropic.types import MessageParam, TextBlockParam


_NO_JSON = "Unable to parse tool parameter JSON"
"""How the library begins its ValueError."""


class Said(Struct, frozen=True):
    """One message, its blocks as the server takes them."""

    role: str
    blocks: tuple[dict[str, Any], ...]

    def param(self) -> dict[str, Any]:
        """The message as the library takes it."""
        return {"role": self.role, "content": list(self.blocks)}


class Turn(Struct, frozen=True):
    """A whole answer of the model."""

    content: tuple[dict[str, Any], ...]
    """As it is sent back."""
    stop: str
    said: str
    """Why it refused, if it did."""
    broken: frozenset[str] = frozenset()
    """The calls whose arguments are no JSON object, by id; their input is empty."""

    @property
    def calls(self) -> tuple[dict[str, Any], ...]:
        """The tools that it wants."""
        return tuple(block for block in self.content if block["type"] == "tool_use")


class Question(Struct, frozen=True):
    """What is asked."""

    model: str
    max_tokens: int
    system: list["TextBlockParam"]
    messages: tuple[Said, ...]

    def params(self) -> list["MessageParam"]:
        """The messages, the end of the last one marked for the server's cache: the next request begins with them."""
        *before, last = self.messages
        if last.role != "user":  # after a pause; not every block of an answer can be marked
            return [cast("MessageParam", said.param()) for said in self.messages]
        *blocks, final = last.blocks
        marked = replace(last, blocks=(*blocks, {**final, "cache_control": {"type": "ephemeral"}}))
        return [cast("MessageParam", said.param()) for said in (*before, marked)]


@dataclass(slots=True)
class Request:
    """One try at a question."""

    client: "AsyncAnthropic"
    question: Question
    prices: Prices
    shown: Shown
    begun: Callable[[], None]
    """Called when the answer begins."""
    _usage: Usage = Usage()
    _arguments: dict[int, list[str]] = field(default_factory=dict)
    """Of the tools, as they come; by the number of the block."""
    _stream: "AsyncMessageStream[None] | None" = None

    @property
    def used(self) -> Usage:
        """What it has used, as far as the server has said it."""
        usage = self._usage
        return replace(usage, cost=self.prices.cost(self.question.model, usage)) if usage.requests else usage

    async def answer(self) -> Turn | Trouble:
        """Ask once, and show the answer as it comes."""
        from anthropic import AnthropicError  # noqa: PLC0415 - imported by now
        from httpx2 import HTTPError, InvalidURL  # noqa: PLC0415

        began = False
        try:
            async with self.client.messages.stream(
                model=self.question.model,
                max_tokens=self.question.max_tokens,
                system=self.question.system,
                tools=TOOLS,
                messages=self.question.params(),
            ) as stream:
                self._stream = stream
                async for event in stream:
                    began = True
                    self._hear(event)
                    if event.type in {"message_start", "message_delta"}:
                        self._note_usage(stream)
                return self._turn(stream)
        # A server that is none may answer anything, and the library then raises more than its own errors.
        except (AnthropicError, HTTPError, InvalidURL, ValueError, LookupError, RuntimeError) as error:
            return self._unreadable(error) or trouble_of(error, began=began)
        finally:
            self.shown.end()

    def _hear(self, event: Any) -> None:  # noqa: ANN401 - a union of 20 types
        """Take in one event of the stream."""
        match event.type:
            case "message_start":
                self.begun()
            case "text":
                self.shown.hear(event.text)
            case "content_block_delta" if event.delta.type == "input_json_delta":
                self._arguments.setdefault(event.index, []).append(event.delta.partial_json)
                self.shown.grow("writing", len(event.delta.partial_json))
            case "content_block_stop":
                self.shown.end()
            case _:
                pass

    def _unreadable(self, error: Exception) -> Turn | None:
        """The answer up to arguments that are no JSON, which the library does not read on from; None: that is not it."""
        message = _snapshot(self._stream) if self._stream else None
        if message is None or not str(error).startswith(_NO_JSON):
            return None
        broken = message.content[-1].id
        return Turn(_content(message, frozenset({broken})), "tool_use", "", frozenset({broken}))

    def _turn(self, stream: "AsyncMessageStream[None]") -> Turn | Trouble:
        """The answer, if it is whole."""
        message = _snapshot(stream)
        kind = stream.response.headers.get("content-type", "")
        if message is None and "html" in kind:
            return Trouble(Cause.FATAL, f"the server's address is wrong: it answers with a page ({kind})")
        if message is None or message.stop_reason is None:
            return cut()
        if message.stop_reason == "model_context_window_exceeded":
            return Trouble(Cause.CONTEXT, "the conversation is larger than the model can read")
        calls = {at: block.id for at, block in enumerate(message.content) if block.type == "tool_use"}
        broken = frozenset(call for at, call in calls.items() if not _is_object(self._arguments.get(at, [])))
        details = message.stop_details
        said = str(getattr(details, "explanation", None) or getattr(details, "category", None) or "")
        return Turn(_content(message, broken), message.stop_reason, said, broken)

    def _note_usage(self, stream: "AsyncMessageStream[None]") -> None:
        message = _snapshot(stream)
        if message is not None:
            counted = message.usage
            self._usage = Usage(
                model=self.shown.clean(message.model or self.question.model),
                input=counted.input_tokens or 0,
                output=counted.output_tokens or 0,
                cache_read=counted.cache_read_input_tokens or 0,
                cache_write=counted.cache_creation_input_tokens or 0,
                requests=1,
            )


def _snapshot(stream: "AsyncMessageStream[None]") -> Any:  # noqa: ANN401 - a generic model of the library
    """The answer so far; None: it has not begun."""
    try:
        return stream.current_message_snapshot
    except AssertionError:  # how the library says so; with python -O it is None
        return None


def _content(message: Any, broken: frozenset[str]) -> tuple[dict[str, Any], ...]:  # noqa: ANN401 - as above
    """The blocks of an answer as they are sent back: no server takes an empty text, or an input that is no object."""
    blocks = (block.to_dict(warnings=False) for block in message.content)
    said = (block for block in blocks if block["type"] != "text" or block["text"])
    return tuple({**block, "input": {}} if block.get("id") in broken else block for block in said)


def _is_object(pieces: list[str]) -> bool:
    """Whether the arguments of a tool are whole: the library takes a part of them for all of them."""
    try:
        return isinstance(json.loads("".join(pieces) or "{}"), dict)
    except (ValueError, RecursionError):
        return False
