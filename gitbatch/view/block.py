"""What is shown, as values: lines and small tables of styled text. Where it goes, `page.py` and `terminal.py` know.

Styles are named as rich names them. Texts are shown as they are, never as markup.
"""

from typing import TypeAlias

from msgspec import Struct

Part: TypeAlias = str | tuple[str, str]
"""A piece of text; or one with its style."""
Cell: TypeAlias = tuple[Part, ...]


class StyledLine(Struct, frozen=True):
    """A line; one with line breaks in it is several, below each other."""

    parts: Cell
    indent: int = 0


class TextTable(Struct, frozen=True):
    """Rows of cells in columns, without a frame. A cell may have line breaks in it."""

    rows: tuple[tuple[Cell, ...], ...]
    indent: int = 2


Block: TypeAlias = tuple[StyledLine | TextTable, ...]


def line(*parts: Part, indent: int = 0) -> StyledLine:
    """A line of some parts."""
    return StyledLine(parts, indent)


def words(parts: Cell) -> str:
    """The text without its styles."""
    return "".join(part if isinstance(part, str) else part[0] for part in parts)
