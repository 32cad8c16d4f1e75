"""One request: its parameters, the answer as it streams in, and its result.

An answer is whole when it has a stop reason; anything else is an error, so half an answer is never used. Arguments of
a tool that are not a JSON object are a mistake of the model, and reported to it. The library sends the request and
returns the bytes of the answer; they are parsed here, because the library parses the arguments of a tool repeatedly.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.anthropic.message import IncomingMessage, StreamEvent, parse_event
from gitbatch.agents.anthropic.prices import Prices
from gitbatch.agents.anthropic.prompt import Prompt
from gitbatch.agents.anthropic.request_error import (
    RequestError,
    list_library_errors,
    make_cut_error,
    make_request_error,
    parse_error_event,
)
from gitbatch.agents.anthropic.transcript import Transcript
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.web.sse import BadStreamError, EventReader, ServerEvent

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from anthropic.types import MessageParam


_LARGEST_TOKEN = 32
"""The most characters of a token, on average: an answer with more is larger than the request allows."""
TOO_LARGE = "too_large"
"""The stop reason of an answer that was refused for its size: ours, not one of the API."""
NAMELESS = "the server sends no event names"


class Message(Struct, frozen=True):
    """One message, its blocks as the server takes them."""

    role: str
    blocks: tuple[dict[str, Any], ...]

    def to_param(self) -> dict[str, Any]:
        """Returns the message as a parameter of the library."""
        return {"role": self.role, "content": list(self.blocks)}


class Response(Struct, frozen=True):
    """A whole answer of the model."""

    content: tuple[dict[str, Any], ...]
    """As it is sent back."""
    stop: str
    said: str
    """Why the model refused, if it did."""
    broken: frozenset[str] = frozenset()
    """The ids of calls whose arguments are not a JSON object; their input is empty."""

    @property
    def tool_calls(self) -> tuple[dict[str, Any], ...]:
        """The tool calls of the answer."""
        return tuple(block for block in self.content if block["type"] == "tool_use")


class RequestParams(Struct, frozen=True):
    """The parameters of a request."""

    model: str
    max_tokens: int
    prompt: Prompt
    messages: tuple[Message, ...]

    def message_params(self) -> list["MessageParam"]:
        """Returns the messages, the end of the last one marked for the server's cache: the next request begins with them."""
        *before, last = self.messages
        if last.role != "user":  # after a pause; not every block of an answer can be marked
            return [cast("MessageParam", said.to_param()) for said in self.messages]
        *blocks, final = last.blocks
        marked = replace(last, blocks=(*blocks, {**final, "cache_control": {"type": "ephemeral"}}))
        return [cast("MessageParam", said.to_param()) for said in (*before, marked)]


@dataclass(slots=True)
class Request:
    """One try at a params."""

    client: "AsyncAnthropic"
    params: RequestParams
    prices: Prices
    transcript: Transcript
    on_begin: Callable[[], None]
    """Called when the answer begins."""
    has_nameless: bool = False
    """The server sent an event without a name."""
    _message: IncomingMessage = field(init=False)
    _error: RequestError | None = None
    _is_answered: bool = False
    """The server has taken the request: whether it says so or not, tokens may have been used."""
    _kind: str = ""
    """The content type of the answer."""

    def __post_init__(self) -> None:
        self._message = IncomingMessage(self.params.max_tokens * _LARGEST_TOKEN)

    @property
    def usage_so_far(self) -> Usage:
        """The usage that the server has reported so far; the cost is unknown if the server does not count."""
        message = self._message
        if not message.has_begun:
            is_refused = self._error is not None and self._error.is_limit
            return Usage(requests=1) if self._is_answered and not is_refused else Usage()
        usage = Usage(
            model=self.transcript.clean_line(message.model or self.params.model),
            input=message.get_count("input_tokens"),
            output=message.get_count("output_tokens"),
            cache_read=message.get_count("cache_read_input_tokens"),
            cache_write=message.get_count("cache_creation_input_tokens"),
            requests=1,
        )
        cost = self.prices.cost_of(self.params.model, usage) if message.is_counted else None
        return replace(usage, cost=cost)

    @property
    def is_counted(self) -> bool:
        """Whether the server reports the usage."""
        return self._message.is_counted

    async def fetch_response(self) -> Response | RequestError:
        """Sends the request, and shows the answer as it comes."""
        try:
            async with aclosing(self._receive_events()) as received:
                async for events in received:
                    for event in events:
                        self._show_event(event)
        finally:
            self.transcript.end_block()
        return self._make_response()

    async def _receive_events(self) -> AsyncGenerator[tuple[StreamEvent, ...], None]:
        """Yields the events of the answer, those of each piece together; `_error` has the error that ended it early."""
        began = False
        try:
            stream = await self.client.messages.create(
                model=self.params.model,
                max_tokens=self.params.max_tokens,
                system=self.params.prompt.system_blocks(),
                tools=self.params.prompt.tools,
                messages=self.params.message_params(),
                stream=True,
            )
            began = True
            async with stream, aclosing(stream.response.aiter_bytes()) as pieces:
                self._kind = stream.response.headers.get("content-type", "")
                self._is_answered = "html" not in self._kind
                reader = EventReader()
                async for piece in pieces:
                    yield self._take_events(reader.feed_bytes(piece))
                    if self._error or self._message.is_too_large:
                        break
        except list_library_errors() as error:
            self._error = make_request_error(error, began=began)

    def _take_events(self, received: list[ServerEvent]) -> tuple[StreamEvent, ...]:
        """Adds events to the message, up to one that reports an error of the server."""
        taken: list[StreamEvent] = []
        for one in received:
            if one.name == "ping" or not one.data:
                continue
            if one.name == "error":
                self._error = parse_error_event(one.data)
                break
            event = parse_event(one) if one.name else self._parse_nameless(one)
            if event.type == "error":
                self._error = parse_error_event(one.data)
            if self._error:
                break
            self._message.take_event(event)
            taken.append(event)
        return tuple(taken)

    def _parse_nameless(self, received: ServerEvent) -> StreamEvent:
        """Reads an event by the type in its data. If that is missing, the server speaks another protocol, to every item."""
        self.has_nameless = True
        try:
            event = parse_event(received)
        except BadStreamError:
            if self._message.has_begun:
                raise
            event = StreamEvent()
        if not event.type and not self._message.has_begun:
            said = f"{NAMELESS}, and does not speak the Messages API: is base-url right?"
            self._error = RequestError(Cause.FATAL, said)
        return event

    def _show_event(self, event: StreamEvent) -> None:
        """Shows the text of an event."""
        match event.type:
            case "message_start":
                self.on_begin()
            case "content_block_delta":
                self.transcript.add_text(event.get_piece("text_delta"))
                self.transcript.add_tool_bytes("writing", len(event.get_piece("input_json_delta")))
            case "content_block_stop":
                self.transcript.end_block()
            case _:
                pass

    def _make_response(self) -> Response | RequestError:
        """Returns the answer, if it is whole."""
        message = self._message
        if message.is_too_large:
            return Response((), TOO_LARGE, "")
        if not message.stop:  # after a stop reason, only the end of the stream follows
            return self._error or self._describe_missing_stop()
        if message.stop == "model_context_window_exceeded":
            return RequestError(Cause.CONTEXT, "the conversation is larger than the model can read")
        content = message.build_content()
        return Response(content, message.stop, message.refusal, message.broken)

    def _describe_missing_stop(self) -> RequestError:
        """Returns why a stream that ended without an error has not given an answer."""
        if self._message.has_begun:
            return make_cut_error()
        if "html" in self._kind:
            return RequestError(
                Cause.FATAL, f"invalid base URL: the server answers with a page ({self._kind})"
            )
        if self._kind and "event-stream" not in self._kind:
            return make_cut_error(f"the server answers with {self._kind} instead of a stream of events")
        return make_cut_error()
