"""Showing where no terminal is: in pipes, files and logs. No colour, and a line is as long as it has to be.

rich could do it too; to import it and let it lay out a table takes a tenth of the time of a small batch.
"""

from collections.abc import Iterator
from typing import IO, Protocol

from gitbatch.text import display_width
from gitbatch.view.block import Block, Cell, Part, StyledLine, TextTable, words

_GAP = "  "
"""Between columns."""


class Page(Protocol):
    """Where blocks are shown."""

    def line(self, *parts: Part) -> None:
        """Show one line."""
        ...

    def show(self, block: Block) -> None:
        """Show a block."""
        ...


class PlainPage:
    """Writes text to a stream."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def line(self, *parts: Part) -> None:
        """Show one line."""
        self.show((StyledLine(parts),))

    def show(self, block: Block) -> None:
        """Show a block."""
        for part in block:
            for text in _lines(part):
                self._stream.write(f"{text.rstrip()}\n")
        self._stream.flush()


def _lines(part: StyledLine | TextTable) -> Iterator[str]:
    margin = " " * part.indent
    if isinstance(part, StyledLine):
        yield from (margin + text for text in words(part.parts).split("\n"))
        return
    rows = [[_split(cell) for cell in row] for row in part.rows]
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


def _split(cell: Cell) -> list[str]:
    return words(cell).split("\n")
