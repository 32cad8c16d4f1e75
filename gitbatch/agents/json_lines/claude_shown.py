"""How the events of Claude Code are shown while it works: its words as output, what it does as progress."""

from pathlib import Path

from gitbatch.agents.json_lines.claude_events import Denial, Event, EventPart
from gitbatch.agents.json_lines.shown import ShownPaths, describe_failure
from gitbatch.agents.process.watch import ShownLine
from gitbatch.agents.protocol import OutputStream
from gitbatch.patterns import compile_later

_TAG = compile_later(r"</?tool_use_error>")


class CallNames:
    """The names of the calls of an attempt, by their ids: later events name a call by its id only."""

    def __init__(self, worktree: Path) -> None:
        self._paths = ShownPaths(worktree)
        self._names: dict[str, str] = {}
        self._denied: set[str] = set()

    def show_message(self, event: Event) -> ShownLine | None:
        """Returns the line for a message of the model: its text, or the tools that it calls."""
        calls = [block for block in event.blocks if block.type == "tool_use"]
        for call in calls:
            self._names[call.id] = self._paths.describe_call(call.name, call.input)
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
        return f"not allowed: {self._paths.describe_call(denial.tool_name, denial.tool_input, ' ')}"

    def _describe_error(self, block: EventPart) -> str:
        call = self._names.get(block.tool_use_id, "tool")
        return describe_failure(call, _TAG.sub("", block.result_text))


def show_retry(event: Event) -> ShownLine:
    """Returns the line for a request that Claude Code sends again."""
    seconds = "" if event.retry_delay_ms is None else f" in {event.retry_delay_ms / 1000:.1f} s"
    why = " ".join(
        str(part) for part in (event.error_status, event.error_name) if part not in {None, "", "unknown"}
    )
    return ShownLine(OutputStream.PROGRESS, f"asks again{seconds}: {why or 'no answer'}")
