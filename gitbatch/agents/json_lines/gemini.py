"""The events of `gemini -o stream-json`. Its words come in pieces, which are joined into lines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field

from gitbatch.agents.json_lines.reader import JsonLinesReader
from gitbatch.agents.json_lines.shown import ShownPaths, describe_failure
from gitbatch.agents.json_lines.verdict import Verdict, judge_error, judge_last_lines
from gitbatch.agents.process.watch import ShownLine
from gitbatch.agents.protocol import OutputStream
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.text import clean_text

_CLIENT_ERROR = 400
_EXITS = {
    41: (Cause.FATAL, "not logged in, or the folder is not trusted: set GEMINI_API_KEY, add --skip-trust"),
    52: (Cause.FATAL, "invalid settings"),
    53: (Cause.FAILED, "it reached its number of turns"),
}


class GeminiError(Struct, frozen=True):
    """An error of a tool, or of the whole run."""

    type: str = ""
    message: str = ""


class ModelTokens(Struct, frozen=True):
    """The tokens of one of the models."""

    output_tokens: int = 0


class GeminiStats(Struct, frozen=True):
    """The tokens of a run."""

    input_tokens: int = 0
    """Those of the cache too."""
    output_tokens: int = 0
    cached: int = 0
    models: dict[str, ModelTokens] = field(default_factory=dict)


class GeminiEvent(Struct, frozen=True):
    """One line."""

    type: str
    model: str = ""
    role: str = ""
    content: str = ""
    delta: bool = False
    tool_name: str = ""
    tool_id: str = ""
    parameters: Any = None
    status: str = ""
    output: Any = None
    error: GeminiError | None = None
    severity: str = ""
    message: str = ""
    stats: GeminiStats | None = None


_DECODER = msgspec.json.Decoder(GeminiEvent)


class GeminiEvents(JsonLinesReader[GeminiEvent]):
    """What Gemini CLI printed in one attempt."""

    def __init__(self, worktree: Path) -> None:
        super().__init__(_DECODER)
        self._paths = ShownPaths(worktree)
        self._names: dict[str, str] = {}
        self._said: list[str] = []
        """The pieces of text since the last call of a tool."""
        self._unshown = ""
        self._model = ""
        self._error = ""
        self._result: GeminiEvent | None = None

    @property
    def summary(self) -> str:
        """What was said after the last call of a tool."""
        return "".join(self._said)

    @property
    def usage(self) -> Usage:
        """The tokens of the result; empty without one. Their cost is unknown."""
        stats = self._result.stats if self._result else None
        if stats is None:
            return Usage()
        model = max(stats.models, key=lambda name: stats.models[name].output_tokens, default=self._model)
        return Usage(
            clean_text(model),
            input=max(stats.input_tokens - stats.cached, 0),
            output=stats.output_tokens,
            cache_read=stats.cached,
            requests=1,
        )

    def judge_exit(self, status: int, errors: Sequence[str]) -> Verdict | None:
        """Returns the verdict by the exit code, then by the error of the result, then by standard error."""
        said = next((line for line in reversed(errors) if line.strip()), "")
        if status in _EXITS:
            cause, meaning = _EXITS[status]
            return Verdict(cause, clean_text(f"{said} ({meaning})" if said else meaning))
        failed = self._result is not None and self._result.status == "error"
        if status == 0 and not failed:
            return None
        error = self._result.error if self._result else None
        text = (error.message or error.type if error else "") or self._error
        if text:
            return judge_error(text, _find_status(status) if failed else None)
        if known := judge_last_lines(errors):
            return known
        return Verdict(Cause.FAILED, clean_text(said or "it reports an error")) if failed else None

    def take_event(self, event: GeminiEvent) -> ShownLine | None:
        """Shows whole lines of text, calls, and errors."""
        match event.type:
            case "init":
                self._model = event.model
            case "message" if event.role == "assistant":
                return self._take_text(event)
            case "tool_use":
                return self._take_call(event)
            case "tool_result" if event.status == "error":
                message = event.error.message if event.error else str(event.output or "")
                call = self._names.get(event.tool_id, "tool")
                return ShownLine(OutputStream.PROGRESS, describe_failure(call, message))
            case "error":
                self._error = event.message if event.severity != "warning" else self._error
                return ShownLine(OutputStream.PROGRESS, event.message)
            case "result":
                return self._take_result(event)
        return None

    def _take_text(self, event: GeminiEvent) -> ShownLine | None:
        self._said.append(event.content)
        whole, line_end, rest = (self._unshown + event.content).rpartition("\n")
        if not event.delta:
            whole, line_end, rest = self._unshown + event.content, "\n", ""
        self._unshown = rest
        return ShownLine(OutputStream.OUTPUT, whole) if line_end and whole.strip() else None

    def _take_call(self, event: GeminiEvent) -> ShownLine:
        name = self._paths.describe_call(event.tool_name, event.parameters)
        self._names[event.tool_id] = name
        before = self._unshown.strip()
        self._said, self._unshown = [], ""
        return ShownLine(OutputStream.PROGRESS, f"{before}, {name}" if before else name)

    def _take_result(self, event: GeminiEvent) -> ShownLine | None:
        self._result, self.is_complete = event, True
        last, self._unshown = self._unshown, ""
        return ShownLine(OutputStream.OUTPUT, last) if last.strip() else None


def _find_status(exit_code: int) -> int | None:
    """Returns the status of HTTP that an exit code is the rest of: it exits with 401, which arrives as 145."""
    status = exit_code + 256
    return status if status >= _CLIENT_ERROR else None
