"""The events of Qwen Code: those of Claude Code, with other tokens, no cost, and errors that are texts."""

import re
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from gitbatch.agents.json_lines.claude import ClaudeEvents
from gitbatch.agents.json_lines.claude_events import Event, EventMessage, TokenCounts
from gitbatch.agents.json_lines.claude_outcome import read_tokens, text_of
from gitbatch.agents.json_lines.verdict import Verdict, judge_error
from gitbatch.agents.process.watch import ShownLine
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.patterns import compile_later
from gitbatch.text import clean_text

_ERROR_AS_TEXT = compile_later(r"\[API Error: (.*)\]", re.DOTALL)


class QwenEvents(ClaudeEvents):
    """What Qwen Code printed in one attempt."""

    def __init__(self, worktree: Path) -> None:
        super().__init__(worktree, lambda _event: None)
        self._model = ""
        self._has_answer = False
        """Whether the last message took tokens: one without any is not the model's."""

    @property
    def usage(self) -> Usage:
        """The tokens of the result; without one, those of the answers that have come. Their cost is unknown."""
        so_far = self.usage_so_far
        if self.result is None or self.result.usage is None:
            return so_far
        tokens = _split_cached(self.result.usage)
        requests = max(self.result.num_turns or so_far.requests, int(tokens.total_tokens > 0))
        return replace(tokens, model=so_far.model or clean_text(self._model), requests=requests)

    def take_event(self, event: Event) -> ShownLine | None:
        """Does the same, and keeps the name of the model."""
        self._model = event.model or self._model
        if isinstance(event.message, EventMessage) and event.message.usage:
            self._has_answer = bool(event.message.usage.output_tokens)
        return super().take_event(event)

    def read_tokens(self, message: EventMessage) -> Usage:
        """Returns the tokens of a message."""
        return _split_cached(message.usage) if message.usage else Usage()

    def judge_exit(self, status: int, errors: Sequence[str]) -> Verdict | None:
        """Returns why the result is an error: where Claude Code's fields do not say it, its text does."""
        if self.result and not self._has_answer and (found := _ERROR_AS_TEXT.fullmatch(self.summary)):
            return judge_error(found[1])  # version 0.15 says that this is a success, and exits with 0
        verdict = super().judge_exit(status, errors)
        if verdict is None or self.result is None or verdict.cause is not Cause.FAILED:
            return verdict
        by_text = judge_error(text_of(self.result))
        return verdict if by_text.cause is Cause.FAILED else by_text


def _split_cached(counts: TokenCounts) -> Usage:
    """Returns the tokens with those of the cache taken out of the input, where the total says that they are in it."""
    tokens = read_tokens(counts)
    is_inside = counts.total_tokens is not None and counts.total_tokens <= tokens.input + tokens.output
    return replace(tokens, input=max(tokens.input - tokens.cache_read, 0)) if is_inside else tokens
