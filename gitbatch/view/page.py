"""Output without a terminal: to pipes, files and logs. It has no colour, and lines are not folded.

rich is not used here: importing it and laying out a table takes a tenth of the time of a small batch.
"""

from collections.abc import Callable, Iterator
from typing import IO, Protocol

from gitbatch.text import display_width
from gitbatch.view.block import Block, Part, StyledLine, TextTable, plain_text
from gitbatch.view.encoding import fit_encoding

_GAP = "  "
"""Between columns."""


class Page(Protocol):
    """An output that shows blocks."""

    def show_line(self, *parts: Part) -> None:
        """Shows one line."""
        ...

    def show_block(self, block: Block) -> None:
        """Shows a block."""
        ...


class PlainPage:
    """Writes text to a stream."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def _fit(self, text: str) -> str:
        return fit_encoding(text, self._stream)

    def show_line(self, *parts: Part) -> None:
        """Shows one line."""
        self.show_block((StyledLine(parts),))

    def show_block(self, block: Block) -> None:
        """Shows a block."""
        for part in block:
            for text in _lay_out(part, self._fit):
                self._stream.write(f"{text.rstrip()}\n")
        self._stream.flush()


def _lay_out(part: StyledLine | TextTable, fit: Callable[[str], str]) -> Iterator[str]:
    margin = " " * part.indent
    if isinstance(part, StyledLine):
        yield from (margin + text for text in fit(plain_text(part.parts)).split("\n"))
        return
    rows = [[fit(plain_text(cell)).split("\n") for cell in row] for row in part.rows]
    widths = [
        max(display_width(text) for cell in column for text in cell) for column in zip(*rows, strict=True)
    ]
    for row in rows:
        for number in range(max(map(len, row))):
            texts = [cell[number] if number < len(cell) else "" for cell in row]
            padded = (
                text + " " * (width - display_width(text)) for text, width in zip(texts, widths, strict=True)
            )
            yield margin + _GAP.join(padded)
