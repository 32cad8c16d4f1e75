"""The lines that are shown of a conversation: cleaned, without the key; the last ones are kept for a failure."""

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
"""Of one piece of a text: an answer that comes at once must not delay the other items."""
_SHOWN_BYTES = 8_192


@dataclass(slots=True)
class Transcript:
    """Shows the text of the model, which comes in pieces, line by line."""

    progress: Progress
    key: ApiKey
    _text: str = ""
    _bytes: int = 0
    _last: deque[CleanText] = field(default_factory=lambda: deque(maxlen=_KEPT))

    def clean_line(self, text: str) -> CleanText:
        """Returns a text of the model or the server that may be shown and kept."""
        return clean_text(self.key.remove_from(text))

    def show_notice(self, text: str) -> None:
        """Shows a line of our own."""
        self.end_block()
        self._show_line(OutputStream.PROGRESS, text)

    def add_text(self, text: str) -> None:
        """Adds a piece of text of the model."""
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
        """Adds to the size of the arguments of a tool, in bytes."""
        before, self._bytes = self._bytes, self._bytes + size
        if before // _SHOWN_BYTES != self._bytes // _SHOWN_BYTES:
            self._show_line(OutputStream.PROGRESS, f"{tool}: {self._bytes:,} bytes so far")

    def end_block(self) -> None:
        """Shows the rest of a block that has ended."""
        rest, self._text, self._bytes = self._text, "", 0
        self._show_line(OutputStream.OUTPUT, rest)

    def last_lines(self) -> tuple[CleanText, ...]:
        """Returns the last lines, for the details of a failure."""
        return tuple(self._last)

    def _show_line(self, stream: OutputStream, text: str) -> None:
        line = self.clean_line(text)
        if line:
            self._last.append(line)
            self.progress(stream, line)
