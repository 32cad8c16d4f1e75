"""Output in a terminal: rich lays it out in the terminal's width and colours."""

import sys
from collections.abc import Iterator
from typing import TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from gitbatch.view.block import Block, Cell, Part, StyledLine, TextTable, plain_text
from gitbatch.view.encoding import fit_encoding, is_limited
from gitbatch.view.wrapping import find_breaks, find_indent

_NO_TERMINAL = 120
"""Columns where the width is unknown: for colour in a log."""
_SHORT = 12
"""Columns of a cell that is never folded."""


class _Console(Console):
    """A console that raises BrokenPipeError where standard output is closed (`| head`); rich's own would exit."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Terminal:
    """Shows blocks in a terminal; without colour if NO_COLOR is set."""

    def __init__(self, console: Console | None = None) -> None:
        width = None if sys.stdout.isatty() else _NO_TERMINAL
        self.console = console or _Console(highlight=False, markup=False, emoji=False, width=width)
        self._can_wrap = console is not None or width is None

    @classmethod
    def of_screen(cls, screen: TextIO) -> "Terminal":
        """Returns the terminal that a stream writes to."""
        return cls(_Console(file=screen, highlight=False, markup=False, emoji=False))

    @property
    def can_move(self) -> bool:
        """Whether a part of the screen can be redrawn."""
        return self.console.is_terminal and not self.console.is_dumb_terminal

    @property
    def is_limited(self) -> bool:
        """Whether the terminal's encoding lacks characters."""
        return is_limited(self.console.file)

    def fit(self, text: str) -> str:
        """Returns a text as the terminal shows it."""
        return fit_encoding(text, self.console.file)

    def write_sequence(self, sequence: str) -> None:
        """Writes what the terminal does not show: it moves no cursor, so it may come between two frames of a view."""
        self.console.file.write(sequence)
        self.console.file.flush()

    def show_line(self, *parts: Part) -> None:
        """Shows one line, wrapped at words."""
        self._print_line(StyledLine(parts))

    def _print_line(self, line: StyledLine) -> None:
        text = self._make_text(line.parts)
        for part in text.split("\n", allow_blank=True):
            width = self.console.width - line.indent if self._can_wrap else 0
            for wrapped in _wrap_line(part, width):
                shown = Text(" " * line.indent).append_text(wrapped) if line.indent else wrapped
                self.console.print(shown, soft_wrap=True)

    def _make_text(self, parts: Cell) -> Text:
        fitted = ((self.fit(p), "") if isinstance(p, str) else (self.fit(p[0]), p[1]) for p in parts)
        return Text.assemble(*fitted)

    def render_text(self, block: Block) -> str:
        """Returns a block as this terminal would show it, without showing it."""
        with self.console.capture() as captured:
            self.show_block(block)
        return captured.get()

    def show_block(self, block: Block) -> None:
        """Shows a block."""
        for part in block:
            if isinstance(part, StyledLine):
                self._print_line(part)
            else:
                grid = self._make_grid(part)
                padding = (0, 0, 0, part.indent)
                self.console.print(Padding(grid, padding, expand=False) if part.indent else grid)

    def _make_grid(self, table: TextTable) -> Grid:
        """Returns a table that folds or cuts the widest column first, and short columns never."""
        grid = Grid(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
        for column in zip(*table.rows, strict=True):
            longest = max(len(plain_text(cell)) for cell in column)
            grid.add_column(overflow="fold", no_wrap=longest <= _SHORT)
        for row in table.rows:
            grid.add_row(*(self._make_cell(cell, is_cut=table.is_cut) for cell in row))
        return grid

    def _make_cell(self, cell: Cell, *, is_cut: bool) -> Text:
        text = self._make_text(cell)
        if is_cut:
            text.no_wrap, text.overflow = True, "crop" if self.is_limited else "ellipsis"
        return text


def _wrap_line(line: Text, width: int) -> Iterator[Text]:
    """Yields a line's parts, those after the first with a deeper indent."""
    first, *others = line.divide(find_breaks(line.plain, width))
    first.rstrip()
    yield first
    for other in others:
        other.rstrip()
        yield Text(" " * find_indent(line.plain)).append_text(other)
