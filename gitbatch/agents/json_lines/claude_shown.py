"""How the events of Claude Code are shown while it works: its words as output, what it does as progress."""

import re
from pathlib import Path
from typing import Any

from gitbatch.agents.json_lines.claude_events import Denial, Event, EventPart
from gitbatch.agents.process.watch import ShownLine
from gitbatch.agents.protocol import OutputStream

_NAMED_BY = ("file_path", "path", "notebook_path", "pattern", "command", "query", "url")
"""The arguments by which a call of a tool is shown, the most useful first."""
_TAG = re.compile(r"</?tool_use_error>")
_LONGEST = 200
"""Characters of an error of a tool."""


class CallNames:
    """The names of the calls of an attempt, by their ids: later events name a call by its id only."""

    def __init__(self, worktree: Path) -> None:
        self._roots = tuple({worktree, worktree.resolve()})
        self._names: dict[str, str] = {}
        self._denied: set[str] = set()

    def show_message(self, event: Event) -> ShownLine | None:
        """Returns the line for a message of the model: its text, or the tools that it calls."""
        calls = [block for block in event.blocks if block.type == "tool_use"]
        for call in calls:
            self._names[call.id] = self._describe_call(call.name, call.input, ": ")
        texts = [block.text for block in event.blocks if block.type == "text" and block.text.strip()]
        if calls:
            said = ", ".join((*texts, *(self._names[call.id] for call in calls)))
            return ShownLine(OutputStream.PROGRESS, said)
        return ShownLine(OutputStream.OUTPUT, "\n".join(texts)) if texts else None

    def show_denial(self, event: Event) -> ShownLine:
        """Returns the line for a call that was not allowed."""
        self._denied.add(event.tool_use_id)
        name = self._names.get(event.tool_use_id, event.tool_name).replace(": ", " ", 1)
        return ShownLine(OutputStream.PROGRESS, f"not allowed: {name}")

    def show_results(self, event: Event) -> ShownLine | None:
        """Returns the line for the results of tools, if one of them is an error."""
        failed = [
            self._describe_error(block)
            for block in event.blocks
            if block.is_error and block.tool_use_id not in self._denied
        ]
        return ShownLine(OutputStream.PROGRESS, ", ".join(failed)) if failed else None

    def describe_denial(self, denial: Denial) -> str:
        """Returns the line about a denial that the result lists."""
        return f"not allowed: {self._describe_call(denial.tool_name, denial.tool_input, ' ')}"

    def _describe_error(self, block: EventPart) -> str:
        said = " ".join(_TAG.sub("", block.result_text).split())
        short = said if len(said) <= _LONGEST else f"{said[: _LONGEST - 1]}…"
        return f"{self._names.get(block.tool_use_id, 'tool')} failed: {short}"

    def _describe_call(self, name: str, given: Any, between: str) -> str:  # noqa: ANN401 - arguments of any tool
        found = [given[key] for key in _NAMED_BY if key in given] if isinstance(given, dict) else []
        about = next((value for value in found if isinstance(value, str)), "")
        return f"{name}{between}{self._shorten_path(about)}" if about else name

    def _shorten_path(self, text: str) -> str:
        """Returns a path relative to the worktree, if it is in there."""
        for root in self._roots:
            if text.startswith(f"{root}/"):
                return text.removeprefix(f"{root}/")
        return text


def show_retry(event: Event) -> ShownLine:
    """Returns the line for a request that Claude Code sends again."""
    seconds = "" if event.retry_delay_ms is None else f" in {event.retry_delay_ms / 1000:.1f} s"
    why = " ".join(str(part) for part in (event.error_status, event.error) if part not in {None, "unknown"})
    return ShownLine(OutputStream.PROGRESS, f"asks again{seconds}: {why or 'no answer'}")
