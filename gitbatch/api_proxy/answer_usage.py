"""The usage in an answer of a model, read from its bytes as they pass: JSON, or server-sent events.

Knows the Messages API of Anthropic, Chat Completions and Responses of OpenAI, and generateContent of Gemini. Counts of
one answer are cumulative in all four, so of each count the largest is taken. What cannot be read is not counted.
"""

from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from gitbatch.limits.usage import Usage
from gitbatch.text import clean_text
from gitbatch.web.sse import BadStreamError, EventReader

_WHOLE_BYTES = 16 * 1024 * 1024
"""Bytes of an answer in JSON that is read."""
Count = Annotated[int, Meta(ge=0, le=10**12)] | None


class _CacheDetails(Struct, frozen=True):
    cached_tokens: Count = None


class _UsageFields(Struct, frozen=True):
    """The counts of Anthropic and OpenAI, under all their names."""

    input_tokens: Count = None
    output_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    input_tokens_details: _CacheDetails | None = None
    prompt_tokens: Count = None
    completion_tokens: Count = None
    prompt_tokens_details: _CacheDetails | None = None

    def as_usage(self, model: str) -> Usage:
        """Returns them as a usage; OpenAI counts what came from the cache as a part of the input."""
        cached = max(
            (
                each.cached_tokens or 0
                for each in (self.input_tokens_details, self.prompt_tokens_details)
                if each
            ),
            default=0,
        )
        read = self.input_tokens or self.prompt_tokens or 0
        return Usage(
            model=clean_text(model),
            input=max(read - cached, 0),
            output=self.output_tokens or self.completion_tokens or 0,
            cache_read=self.cache_read_input_tokens or cached,
            cache_write=self.cache_creation_input_tokens or 0,
        )


class _GeminiFields(Struct, frozen=True, rename="camel"):
    prompt_token_count: Count = None
    candidates_token_count: Count = None
    thoughts_token_count: Count = None
    tool_use_prompt_token_count: Count = None
    cached_content_token_count: Count = None

    def as_usage(self, model: str) -> Usage:
        """Returns them as a usage; the input has what came from the cache."""
        cached = self.cached_content_token_count or 0
        read = (self.prompt_token_count or 0) + (self.tool_use_prompt_token_count or 0)
        written = (self.candidates_token_count or 0) + (self.thoughts_token_count or 0)
        return Usage(clean_text(model), max(read - cached, 0), written, cached)


class _InnerAnswer(Struct, frozen=True):
    """The message of an event `message_start`, or the response of an event of Responses."""

    model: str = ""
    usage: _UsageFields | None = None


class _AnswerPart(Struct, frozen=True, rename={"model_version": "modelVersion", "gemini": "usageMetadata"}):
    """An answer, or an event of one: the fields that say something about usage."""

    model: str = ""
    model_version: str = ""
    usage: _UsageFields | None = None
    gemini: _GeminiFields | None = None
    message: _InnerAnswer | None = None
    response: _InnerAnswer | None = None

    def as_usage(self) -> Usage:
        """Returns the usage that it reports; empty if it reports none."""
        inner = self.message or self.response or _InnerAnswer()
        model = self.model or self.model_version or inner.model
        tokens = self.usage or inner.usage or self.gemini
        return tokens.as_usage(model) if tokens else Usage(model=clean_text(model))


_ANSWER_PART = msgspec.json.Decoder(_AnswerPart)


class AnswerUsage:
    """Reads one answer."""

    def __init__(self, content_type: str) -> None:
        self.usage = Usage(requests=1)
        """As far as it has come; without tokens: the server does not report them, or in another form."""
        self.is_finished = False
        """Whether nothing more comes."""
        self._events = EventReader() if content_type.startswith("text/event-stream") else None
        self._is_read = self._events is not None or content_type.startswith("application/json")
        self._whole = bytearray()
        self._pieces = 0
        """The pieces of text of Anthropic's Messages, of which each has a token at least."""
        self._has_end = False
        """Whether the server has said how many tokens it has written."""

    @property
    def is_stream(self) -> bool:
        """Whether its parts are counted as they come; else its end says what it costs."""
        return self._events is not None

    def feed_bytes(self, data: bytes) -> None:
        """Reads a further piece."""
        if not self._is_read:
            return
        if self._events is None:
            self._whole += data
            self._is_read = len(self._whole) <= _WHOLE_BYTES
            return
        try:
            for event in self._events.feed_bytes(data):
                if event.name == "content_block_delta":
                    self._pieces += 1
                elif "sage" in event.data:  # usage, usageMetadata
                    self._has_end |= event.name == "message_delta"
                    self._take_part(event.data)
        except BadStreamError:
            self._is_read = False

    def finish(self) -> None:
        """Reads the rest when nothing more comes."""
        self.is_finished = True
        if self._events is not None:
            self.feed_bytes(b"\n\n")  # the last event may lack its end
            self._count_pieces()
        elif self._is_read:
            self._take_whole(bytes(self._whole))
            self._whole.clear()

    def _count_pieces(self) -> None:
        """Counts what was written in an answer that was cut, perhaps by the program: the server has not said it."""
        if self.usage.total_tokens and not self._has_end:
            self._add_usage(Usage(output=self._pieces))

    def _take_whole(self, text: bytes) -> None:
        if text.lstrip().startswith(b"["):  # Gemini streams a list without `alt=sse`
            try:
                parts = msgspec.json.decode(text, type=list[_AnswerPart])
            except (msgspec.DecodeError, RecursionError):
                return
            for part in parts:
                self._add_usage(part.as_usage())
        else:
            self._take_part(text)

    def _take_part(self, text: str | bytes) -> None:
        try:
            part = _ANSWER_PART.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return
        self._add_usage(part.as_usage())

    def _add_usage(self, found: Usage) -> None:
        known = self.usage
        self.usage = Usage(
            model=found.model or known.model,
            input=max(found.input, known.input),
            output=max(found.output, known.output),
            cache_read=max(found.cache_read, known.cache_read),
            cache_write=max(found.cache_write, known.cache_write),
            requests=1,
        )
