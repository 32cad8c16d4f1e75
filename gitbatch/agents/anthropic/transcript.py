"""What is shown of a conversation, as it happens: harmless lines without the key, and the last of them for a failure."""

from collections import deque
from dataclasses import dataclass, field

from gitbatch.agents.anthropic.api_key import ApiKey
from gitbatch.agents.protocol import OutputStream, Progress
from gitbatch.text import CleanText, clean_text

_KEPT = 10
_LONG = 160
"""Characters after which a line is shown although it has not ended."""
_LONGEST = 20_000
_MOST_LINES = 100
"""Of one piece of a text: an answer that comes at once must not keep the others waiting."""
_SHOWN_BYTES = 8_192


@dataclass(slots=True)
class Transcript:
    """The model's words come in pieces; they are shown line by line."""

    progress: Progress
    key: ApiKey
    _text: str = ""
    _bytes: int = 0
    _last: deque[CleanText] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def clean_line(self, text: str) -> CleanText:
        """A text of the model or the server as it may be shown and kept."""
        return clean_text(self.key.remove_from(text))

    def show_notice(self, text: str) -> None:
        """Show a line of ours."""
        self.end_block()
        self._show_line(OutputStream.PROGRESS, text)

    def add_text(self, text: str) -> None:
        """Take in a piece of what the model says."""
        *lines, rest = (self._text + text).split("\n")
        if len(lines) > _MOST_LINES:
            self._show_line(OutputStream.PROGRESS, f"{len(lines) - _MOST_LINES} lines are not shown")
        for line in lines[-_MOST_LINES:]:
            self._show_line(OutputStream.OUTPUT, line)
        self._text = rest[:_LONGEST]  # of a longer line, the end would not be shown anyway
        if len(self._text) > _LONG and " " in self._text:
            line, _, self._text = self._text.rpartition(" ")
            self._show_line(OutputStream.OUTPUT, line)

    def add_tool_bytes(self, tool: str, size: int) -> None:
        """Take in that the arguments of a tool grow by so many bytes."""
        before, self._bytes = self._bytes, self._bytes + size
        if before // _SHOWN_BYTES != self._bytes // _SHOWN_BYTES:
            self._show_line(OutputStream.PROGRESS, f"{tool}: {self._bytes:,} bytes so far")

    def end_block(self) -> None:
        """Show what is left of a block that has ended."""
        rest, self._text, self._bytes = self._text, "", 0
        self._show_line(OutputStream.OUTPUT, rest)

    def last_lines(self) -> tuple[CleanText, ...]:
        """The last lines, for whoever looks at a failure."""
        return tuple(self._last)

    def _show_line(self, stream: OutputStream, text: str) -> None:
        line = self.clean_line(text)
        if line:
            self._last.append(line)
            self.progress(stream, line)
