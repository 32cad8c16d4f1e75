"""Output in a terminal: rich lays it out in the terminal's width and colours."""

import sys

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from gitbatch.view.block import Block, Cell, Part, StyledLine, TextTable, plain_text

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

    @property
    def can_move(self) -> bool:
        """Whether a part of the screen can be redrawn."""
        return self.console.is_terminal and not self.console.is_dumb_terminal

    def show_line(self, *parts: Part) -> None:
        """Shows one line; the terminal breaks it."""
        self.console.print(Text.assemble(*parts), soft_wrap=True)

    def render_text(self, block: Block) -> str:
        """Returns a block as this terminal would show it, without showing it."""
        with self.console.capture() as captured:
            self.show_block(block)
        return captured.get()

    def show_block(self, block: Block) -> None:
        """Shows a block."""
        for part in block:
            self.console.print(_laid_out(part))


def _laid_out(part: StyledLine | TextTable) -> RenderableType:
    shown = Text.assemble(*part.parts) if isinstance(part, StyledLine) else _make_grid(part)
    return Padding(shown, (0, 0, 0, part.indent), expand=False) if part.indent else shown


def _make_grid(table: TextTable) -> Grid:
    """Returns a table that folds or cuts the widest column first, and short columns never."""
    grid = Grid(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    for column in zip(*table.rows, strict=True):
        longest = max(len(plain_text(cell)) for cell in column)
        grid.add_column(overflow="fold", no_wrap=longest <= _SHORT)
    for row in table.rows:
        grid.add_row(*(_make_text(cell, is_cut=table.is_cut) for cell in row))
    return grid


def _make_text(cell: Cell, *, is_cut: bool) -> Text:
    return Text.assemble(*cell, no_wrap=True, overflow="ellipsis") if is_cut else Text.assemble(*cell)
