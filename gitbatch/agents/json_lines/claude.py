"""The events of one attempt, as they come: each is shown, and what decides the outcome is kept."""

from collections import deque
from collections.abc import Callable
from pathlib import Path

from gitbatch.agents.json_lines.claude_events import Event, EventKind, EventMessage, parse_event
from gitbatch.agents.json_lines.claude_outcome import read_tokens
from gitbatch.agents.json_lines.claude_shown import CallNames, show_retry
from gitbatch.agents.process.watch import ShownLine
from gitbatch.agents.protocol import OutputStream
from gitbatch.limits.usage import Usage
from gitbatch.text import CleanText, clean_text

_KEPT_LINES = 20


class PrintedEvents:
    """What Claude Code printed in one attempt."""

    def __init__(self, worktree: Path, notify_retry: Callable[[Event], None]) -> None:
        """Starts with nothing printed.

        Args:
            worktree: paths in it are shown relative to it.
            notify_retry: called with the first event of an attempt that a request is sent again.
        """
        self.calls = CallNames(worktree)
        self.result: Event | None = None
        """The last event of Claude Code; None: it has not come."""
        self.error = ""
        """The error of the last message, if it has one."""
        self.retry_delay: float | None = None
        """Seconds that it waited before it sent a request again; None: it did not."""
        self.has_started = False
        """Whether an event has come: the program is Claude Code."""
        self._notify_retry = notify_retry
        self._unread: deque[CleanText] = deque(maxlen=_KEPT_LINES)
        self._usages: dict[str, Usage] = {}
        """By message: its usage is repeated in each of its events."""

    @property
    def unread_lines(self) -> tuple[CleanText, ...]:
        """The last lines of standard output that are not JSON."""
        return tuple(self._unread)

    @property
    def usage_so_far(self) -> Usage:
        """The tokens of the answers that have come, without a cost; empty if there are none."""
        return sum(self._usages.values(), Usage())

    def take_line(self, stream: OutputStream, line: str) -> ShownLine | None:
        """Returns how a line is shown, and keeps what it says; None: it is not shown."""
        if stream is not OutputStream.OUTPUT:
            return ShownLine(stream, line)
        event = parse_event(line)
        if event is None:
            if not line.lstrip().startswith("{"):
                self._unread.append(clean_text(line))
            return None
        self.has_started = True
        return self._take_event(event)

    def _take_event(self, event: Event) -> ShownLine | None:
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
                self.result = event
        return None

    def _take_message(self, event: Event) -> ShownLine | None:
        self.error = event.error or ""
        message = event.message
        if isinstance(message, EventMessage) and message.usage and not event.error:
            usage = read_tokens(message.usage)
            self._usages[message.id] = Usage(
                clean_text(message.model),
                usage.input,
                usage.output,
                usage.cache_read,
                usage.cache_write,
                requests=1,
            )
        return self.calls.show_message(event)

    def _take_retry(self, event: Event) -> ShownLine:
        is_first = self.retry_delay is None
        self.retry_delay = (event.retry_delay_ms or 0.0) / 1000
        if is_first:
            self._notify_retry(event)
        return show_retry(event)
