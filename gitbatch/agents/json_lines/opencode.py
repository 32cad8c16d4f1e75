"""The events of `opencode run --format json`: steps, their texts, their calls of tools, and one error."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from gitbatch.agents.json_lines.reader import JsonLinesReader
from gitbatch.agents.json_lines.shown import ShownPaths, describe_failure
from gitbatch.agents.json_lines.verdict import Verdict, judge_error
from gitbatch.agents.process.watch import ShownLine
from gitbatch.agents.protocol import OutputStream
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.text import clean_text

_LONGEST_WAIT = 10**6
"""Seconds that a header may ask to wait."""


class CacheTokens(Struct, frozen=True):
    """Tokens of the cache."""

    read: int = 0
    write: int = 0


class StepTokens(Struct, frozen=True):
    """The tokens of a step: none of them is counted twice."""

    input: int = 0
    output: int = 0
    reasoning: int = 0
    cache: CacheTokens = CacheTokens()


class ToolState(Struct, frozen=True):
    """A call of a tool."""

    status: str = ""
    input: Any = None
    error: str = ""


class OpenCodePart(Struct, frozen=True):
    """A text, a call or the end of a step."""

    text: str = ""
    tool: str = ""
    state: ToolState = ToolState()
    tokens: StepTokens | None = None
    cost: float = 0.0


class ErrorData(Struct, frozen=True, rename="camel"):
    """What an error says."""

    message: str = ""
    status_code: int | None = None
    is_retryable: bool | None = None
    response_headers: dict[str, str] = field(default_factory=dict)


class OpenCodeError(Struct, frozen=True):
    """Why a session failed."""

    name: str = ""
    data: ErrorData = ErrorData()


class OpenCodeEvent(Struct, frozen=True):
    """One line."""

    type: str
    part: OpenCodePart = OpenCodePart()
    error: OpenCodeError | None = None


_DECODER = msgspec.json.Decoder(OpenCodeEvent)
_CAUSES = {
    "ProviderAuthError": Cause.FATAL,
    "ProviderModelNotFoundError": Cause.FATAL,
    "ContextOverflowError": Cause.CONTEXT,
}


class OpenCodeEvents(JsonLinesReader[OpenCodeEvent]):
    """What OpenCode printed in one attempt."""

    def __init__(self, worktree: Path) -> None:
        super().__init__(_DECODER)
        self._paths = ShownPaths(worktree)
        self._summary = ""
        self._usage = Usage()
        self._error: OpenCodeError | None = None

    @property
    def summary(self) -> str:
        """The last text."""
        return self._summary

    @property
    def has_finished(self) -> bool:
        """False: after each step there may be another one."""
        return False

    @property
    def usage(self) -> Usage:
        """The sum of all steps."""
        return self._usage

    def judge_exit(self, _status: int, _errors: Sequence[str]) -> Verdict | None:
        """Returns the verdict for the error that was not followed by a step. OpenCode may exit with 0 after one."""
        if self._error is None:
            return None
        name, data = self._error.name, self._error.data
        if name in _CAUSES:
            return Verdict(_CAUSES[name], clean_text(data.message or name))
        verdict = judge_error(data.message or name, data.status_code)
        if verdict.cause is Cause.FAILED and data.status_code is None and data.is_retryable:
            return Verdict(Cause.BUSY, verdict.reason)
        return verdict

    def take_event(self, event: OpenCodeEvent) -> ShownLine | None:
        """Shows texts, calls and errors."""
        match event.type:
            case "text":
                self._summary = event.part.text
                return ShownLine(OutputStream.OUTPUT, event.part.text)
            case "tool_use":
                return self._show_call(event.part)
            case "step_finish":
                self._add_step(event.part)
            case "error":
                return self._take_error(event.error or OpenCodeError())
        return None

    def _show_call(self, part: OpenCodePart) -> ShownLine:
        called = self._paths.describe_call(part.tool, part.state.input)
        has_failed = part.state.status == "error"
        return ShownLine(
            OutputStream.PROGRESS, describe_failure(called, part.state.error) if has_failed else called
        )

    def _add_step(self, part: OpenCodePart) -> None:
        self.is_complete, self._error = True, None
        tokens = part.tokens or StepTokens()
        used = Usage(
            input=tokens.input,
            output=tokens.output + tokens.reasoning,
            cache_read=tokens.cache.read,
            cache_write=tokens.cache.write,
            requests=1,
            cost=part.cost or None,  # 0 is what it says of a model without a price
        )
        self._usage += used

    def _take_error(self, error: OpenCodeError) -> ShownLine:
        self._error = error
        self.retry_after = _read_wait(error.data.response_headers)
        return ShownLine(OutputStream.PROGRESS, error.data.message or error.name or "error")


def _read_wait(headers: dict[str, str]) -> float | None:
    """Returns the seconds of `retry-after`; None if it has none, or a date."""
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    seconds = float(text) if text.replace(".", "", 1).isdecimal() else 0.0
    return min(seconds, _LONGEST_WAIT) or None
