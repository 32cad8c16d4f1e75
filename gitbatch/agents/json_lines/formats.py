"""The formats by name, and the reader of each."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gitbatch.agents.json_lines.claude import ClaudeEvents
from gitbatch.agents.json_lines.claude_events import Event
from gitbatch.agents.json_lines.codex import CodexEvents
from gitbatch.agents.json_lines.gemini import GeminiEvents
from gitbatch.agents.json_lines.opencode import OpenCodeEvents
from gitbatch.agents.json_lines.qwen import QwenEvents
from gitbatch.agents.json_lines.reader import JsonLinesReader

_READERS: Mapping[str, Callable[[Path], JsonLinesReader[Any]]] = MappingProxyType(
    {"codex": CodexEvents, "opencode": OpenCodeEvents, "gemini": GeminiEvents, "qwen": QwenEvents}
)


def open_reader(name: str, worktree: Path, notify_retry: Callable[[Event], None]) -> JsonLinesReader[Any]:
    """Returns the reader of a format, for one attempt.

    Args:
        name: the format.
        worktree: paths in it are shown relative to it.
        notify_retry: called with the first event of an attempt that a request is sent again.
    """
    if name == "claude":
        return ClaudeEvents(worktree, notify_retry)
    return _READERS[name](worktree)
