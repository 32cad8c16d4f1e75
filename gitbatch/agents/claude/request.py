"""One request: what is asked, the answer as it streams in, and what became of it.

An answer is whole when it has a stop reason and its tools' arguments are whole; anything else is a trouble, so that
nothing is ever done with half of an answer.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

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


@dataclass(frozen=True, slots=True)
class Said:
    """One message, its blocks as the server takes them."""

    role: str
    blocks: tuple[dict[str, Any], ...]

    def param(self) -> dict[str, Any]:
        """The message as the library takes it."""
        return {"role": self.role, "content": list(self.blocks)}


@dataclass(frozen=True, slots=True)
class Turn:
    """A whole answer of the model."""

    content: tuple[dict[str, Any], ...]
    """As it is sent back."""
    stop: str
    said: str
    """Why it refused, if it did."""

    @property
    def calls(self) -> tuple[dict[str, Any], ...]:
        """The tools that it wants."""
        return tuple(block for block in self.content if block["type"] == "tool_use")


@dataclass(frozen=True, slots=True)
class Question:
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
                arguments: dict[int, list[str]] = {}
                async for event in stream:
                    began = True
                    self._hear(event, arguments)
                    if event.type in {"message_start", "message_delta"}:
                        self._note_usage(stream)
                return self._turn(stream, arguments)
        # A server that is none may answer anything, and the library then raises more than its own errors.
        except (AnthropicError, HTTPError, InvalidURL, ValueError, LookupError, RuntimeError) as error:
            return trouble_of(error, began=began)
        finally:
            self.shown.end()

    def _hear(self, event: Any, arguments: dict[int, list[str]]) -> None:  # noqa: ANN401 - a union of 20 types
        """Take in one event of the stream."""
        match event.type:
            case "message_start":
                self.begun()
            case "text":
                self.shown.hear(event.text)
            case "content_block_delta" if event.delta.type == "input_json_delta":
                arguments.setdefault(event.index, []).append(event.delta.partial_json)
                self.shown.grow("writing", len(event.delta.partial_json))
            case "content_block_stop":
                self.shown.end()
            case _:
                pass

    def _turn(self, stream: "AsyncMessageStream[None]", arguments: dict[int, list[str]]) -> Turn | Trouble:
        """The answer, if it is whole."""
        message = _snapshot(stream)
        if message is None or message.stop_reason is None:
            return cut()
        if message.stop_reason != "max_tokens" and not all(map(_is_json, arguments.values())):
            return cut()
        if message.stop_reason == "model_context_window_exceeded":
            said = "the conversation is larger than the model can read"
            return Trouble(Cause.CONTEXT, said)
        blocks = tuple(block.to_dict() for block in message.content)
        content = tuple(block for block in blocks if block["type"] != "text" or block["text"])
        details = message.stop_details
        said = str(getattr(details, "explanation", None) or getattr(details, "category", None) or "")
        return Turn(content, message.stop_reason, said)

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


def _is_json(pieces: list[str]) -> bool:
    """Whether the arguments of a tool are whole: the library takes a part of them for all of them."""
    text = "".join(pieces)
    try:
        json.loads(text or "{}")
    except ValueError:
        return False
    return True
