"""The events of Claude Code, as they come: each is shown, and what decides the outcome is kept."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from gitbatch.agents.json_lines.claude_events import EVENTS, Event, EventKind, EventMessage
from gitbatch.agents.json_lines.claude_outcome import judge_result, read_tokens, read_usage
from gitbatch.agents.json_lines.claude_shown import CallNames, show_retry
from gitbatch.agents.json_lines.limit_times import find_limit_end
from gitbatch.agents.json_lines.reader import JsonLinesReader
from gitbatch.agents.json_lines.verdict import Verdict
from gitbatch.agents.process.watch import ShownLine
from gitbatch.limits.usage import Usage
from gitbatch.text import CleanText, clean_text


class ClaudeEvents(JsonLinesReader[Event]):
    """What Claude Code printed in one attempt."""

    def __init__(self, worktree: Path, notify_retry: Callable[[Event], None]) -> None:
        """Starts with nothing printed.

        Args:
            worktree: paths in it are shown relative to it.
            notify_retry: called with the first event of an attempt that a request is sent again.
        """
        super().__init__(EVENTS)
        self.calls = CallNames(worktree)
        self.result: Event | None = None
        """The last event of Claude Code; None: it has not come."""
        self.error = ""
        """The error of the last message, if it has one."""
        self._notify_retry = notify_retry
        self._has_retried = False
        self._usages: dict[str, Usage] = {}
        """By message: its usage is repeated in each of its events."""

    @property
    def summary(self) -> str:
        """The text of the result."""
        return (self.result.result if self.result else "") or ""

    @property
    def usage(self) -> Usage:
        """The usage of the result; without one, the tokens of the answers that have come, and no cost."""
        return read_usage(self.result) if self.result else self.usage_so_far

    @property
    def usage_so_far(self) -> Usage:
        """The tokens of the answers that have come, without a cost; empty if there are none."""
        return sum(self._usages.values(), Usage())

    @property
    def denials(self) -> tuple[CleanText, ...]:
        """The denials that the result lists."""
        listed = self.result.permission_denials if self.result else []
        return tuple(clean_text(self.calls.describe_denial(each)) for each in listed)

    def judge_exit(self, _status: int, _errors: Sequence[str]) -> Verdict | None:
        """Returns why the result is an error."""
        return judge_result(self.result, self.error) if self.result else None

    def take_event(self, event: Event) -> ShownLine | None:
        """Shows the words of the model, its calls, what was denied and what failed."""
        match event.kind:
            case EventKind.ASSISTANT:
                return self._take_message(event)
            case EventKind.TOOL_RESULTS:
                return self.calls.show_results(event)
            case EventKind.DENIED:
                return self.calls.show_denial(event)
            case EventKind.RETRY:
                return self._take_retry(event)
            case EventKind.RESULT:
                self._take_result(event)
        return None

    def _take_result(self, event: Event) -> None:
        self.result, self.is_complete = event, True
        ends = find_limit_end(event.result or "", time.time()) if event.is_error else None
        self.retry_after = self.retry_after if ends is None else ends

    def _take_message(self, event: Event) -> ShownLine | None:
        self.error = event.error_name
        message = event.message
        if isinstance(message, EventMessage) and message.usage and not event.error:
            usage = self.read_tokens(message)
            self._usages[message.id] = Usage(
                clean_text(message.model),
                usage.input,
                usage.output,
                usage.cache_read,
                usage.cache_write,
                requests=1,
            )
        return self.calls.show_message(event)

    def read_tokens(self, message: EventMessage) -> Usage:
        """Returns the tokens of a message."""
        return read_tokens(message.usage)

    def _take_retry(self, event: Event) -> ShownLine:
        self.retry_after = (event.retry_delay_ms or 0.0) / 1000 or None
        if not self._has_retried:
            self._notify_retry(event)
        self._has_retried = True
        return show_retry(event)
