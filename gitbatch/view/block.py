"""Output as values: lines and small tables of styled text. `page.py` and `terminal.py` show them.

Styles have rich's names. Texts are shown literally, never as markup.
"""

from typing import TypeAlias

from msgspec import Struct

Part: TypeAlias = str | tuple[str, str]
"""A text, or a text and its style."""
Cell: TypeAlias = tuple[Part, ...]


class StyledLine(Struct, frozen=True):
    """A line; a text with line breaks is shown as several lines."""

    parts: Cell
    indent: int = 0


class TextTable(Struct, frozen=True):
    """Rows of cells in columns, without a frame. A cell may contain line breaks."""

    rows: tuple[tuple[Cell, ...], ...]
    indent: int = 2
    is_cut: bool = False
    """Whether a row is one line of a terminal, cut where the width ends; else its cells are folded."""


Block: TypeAlias = tuple[StyledLine | TextTable, ...]


def make_line(*parts: Part, indent: int = 0) -> StyledLine:
    """Returns a line of parts."""
    return StyledLine(parts, indent)


def plain_text(parts: Cell) -> str:
    """Returns the text without its styles."""
    return "".join(part if isinstance(part, str) else part[0] for part in parts)
