"""The events of `codex exec --json`: threads, turns, and their items."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from gitbatch.agents.json_lines.reader import JsonLinesReader
from gitbatch.agents.json_lines.shown import ShownPaths, describe_failure
from gitbatch.agents.json_lines.verdict import Verdict, judge_error
from gitbatch.agents.process.watch import ShownLine
from gitbatch.agents.protocol import OutputStream
from gitbatch.limits.usage import Usage

_OFFLINE = "waiting for network"
_PATIENCE = 3
"""Messages about a missing network, without anything between them: it never gives up by itself."""


class CodexChange(Struct, frozen=True):
    """A file that was changed."""

    path: str = ""
    kind: str = ""


class CodexItem(Struct, frozen=True):
    """A part of a turn."""

    type: str = ""
    text: str = ""
    command: str = ""
    exit_code: int | None = None
    status: str = ""
    changes: list[CodexChange] = []
    server: str = ""
    tool: str = ""
    query: str = ""
    message: str = ""


class CodexError(Struct, frozen=True):
    """Why a turn failed."""

    message: str = ""


class CodexTokens(Struct, frozen=True):
    """The tokens of a turn; the input has those of the cache in it."""

    input_tokens: int = 0
    cached_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    output_tokens: int = 0


class CodexEvent(Struct, frozen=True):
    """One line."""

    type: str
    item: CodexItem = CodexItem()
    error: CodexError | None = None
    message: str = ""
    usage: CodexTokens | None = None


_DECODER = msgspec.json.Decoder(CodexEvent)


class CodexEvents(JsonLinesReader[CodexEvent]):
    """What Codex printed in one attempt."""

    def __init__(self, worktree: Path) -> None:
        super().__init__(_DECODER)
        self._paths = ShownPaths(worktree)
        self._summary = ""
        self._usage = Usage()
        self._failure: str | None = None
        """The error of a turn that failed; that of the stream, until something follows it."""
        self._offline = 0

    @property
    def summary(self) -> str:
        """The last message of the agent."""
        return self._summary

    @property
    def has_finished(self) -> bool:
        """Whether its turn is complete, or it waits for a network that is not there."""
        return self.is_complete or self._offline >= _PATIENCE

    @property
    def usage(self) -> Usage:
        """The tokens of all turns; their cost is unknown."""
        return self._usage

    def judge_exit(self, status: int, _errors: Sequence[str]) -> Verdict | None:
        """Returns why the turn failed; an error of the stream counts if the program failed, too."""
        if self._failure is None or (self.is_complete and status == 0):
            return None
        return judge_error(self._failure)

    def take_event(self, event: CodexEvent) -> ShownLine | None:
        """Shows messages, commands, changed files and errors."""
        match event.type:
            case "item.started" | "item.completed":
                self._offline = 0
                return self._take_item(event.item, is_start=event.type == "item.started")
            case "turn.completed":
                self._add_usage(event.usage or CodexTokens())
                self.is_complete, self._failure = True, None
            case "turn.failed":
                self._failure = event.error.message if event.error else ""
                self.is_complete = False
            case "error":
                return self._take_error(event.message)
        return None

    def _add_usage(self, tokens: CodexTokens) -> None:
        cached = tokens.cached_input_tokens + tokens.cache_write_input_tokens
        self._usage += Usage(
            input=max(tokens.input_tokens - cached, 0),
            output=tokens.output_tokens,
            cache_read=tokens.cached_input_tokens,
            cache_write=tokens.cache_write_input_tokens,
            requests=1,
        )

    def _take_error(self, message: str) -> ShownLine:
        self._failure = message
        self._offline = self._offline + 1 if _OFFLINE in message else 0
        return ShownLine(OutputStream.PROGRESS, message)

    def _take_item(self, item: CodexItem, *, is_start: bool) -> ShownLine | None:
        if item.type == "agent_message" and not is_start:
            self._summary = item.text
            return ShownLine(OutputStream.OUTPUT, item.text)
        if item.type == "error" and not is_start:
            return ShownLine(OutputStream.PROGRESS, item.message)
        called = self._describe_item(item)
        is_shown_at_start = item.type != "file_change"
        has_failed = item.status == "failed" or bool(item.exit_code)
        if called and has_failed and not is_start:
            code = "" if item.exit_code is None else f"exit code {item.exit_code}"
            return ShownLine(OutputStream.PROGRESS, describe_failure(called, code).removesuffix(": "))
        return ShownLine(OutputStream.PROGRESS, called) if called and is_start is is_shown_at_start else None

    def _describe_item(self, item: CodexItem) -> str:
        """Returns what is shown of a call; empty: the item is not a call."""
        match item.type:
            case "command_execution":
                return f"shell: {item.command}"
            case "file_change":
                return ", ".join(
                    f"{each.kind}: {self._paths.shorten_path(each.path)}" for each in item.changes
                )
            case "mcp_tool_call":
                return f"{item.server}: {item.tool}"
            case "web_search":
                return f"search: {item.query}"
        return ""
