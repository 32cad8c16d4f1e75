"""Blocks as lines of a width: prose is wrapped at words, and what is still too long is folded. Pure."""

from collections.abc import Iterator
from itertools import pairwise

from gitbatch.text import display_width
from gitbatch.view.block import Block, Cell, Part, TextTable, plain_text
from gitbatch.view.cutting import cut_end, pad_end
from gitbatch.view.wrapping import find_breaks, find_indent

_GAP = 2
"""Columns between two cells of a table."""
_WIDEST = 40
"""Columns up to which the cells of a column are aligned."""


def lay_out(block: Block, width: int) -> tuple[Cell, ...]:
    """Returns the lines of a block, none of them wider than `width`."""
    return tuple(line for part in _list_lines(block) for line in fold_line(part, width))


def _list_lines(block: Block) -> Iterator[Cell]:
    for part in block:
        if isinstance(part, TextTable):
            yield from _list_rows(part)
        else:
            yield from _split_lines((" " * part.indent, *part.parts), part.indent)


def _list_rows(table: TextTable) -> Iterator[Cell]:
    columns = [
        max(display_width(plain_text(cell)) for cell in column) for column in zip(*table.rows, strict=True)
    ]
    for row in table.rows:
        line: list[Part] = [" " * table.indent]
        for cell, columns_of_cell in zip(row, columns, strict=True):
            wanted = min(columns_of_cell, _WIDEST)
            line += [*cell, " " * max(0, wanted - display_width(plain_text(cell)))]
            line += [" " * _GAP] if wanted else []
        yield from _split_lines(tuple(line), table.indent)


def _split_lines(parts: Cell, indent: int) -> Iterator[Cell]:
    """Yields the lines of parts that may have line breaks in them; those after the first with the same indent."""
    line: list[Part] = []
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        first, *others = text.split("\n")
        line.append((first, style))
        for other in others:
            yield tuple(line)
            line = [" " * indent, (other, style)]
    yield tuple(line)


def fold_line(parts: Cell, width: int) -> Iterator[Cell]:
    """Yields the lines that one line becomes; wrapped at words with a deeper indent."""
    text = plain_text(parts).rstrip()
    edges = (0, *find_breaks(text, width), len(text))
    for number, (start, end) in enumerate(pairwise(edges)):
        indent = " " * find_indent(text) if number else ""
        yield from _fold_columns((indent, *slice_parts(parts, start, end)), width)


def _fold_columns(parts: Cell, width: int) -> Iterator[Cell]:
    text = plain_text(parts).rstrip()
    start = 0
    while display_width(text[start:]) > width:
        taken = len(cut_end(text[start:], width, "")) or 1
        yield slice_parts(parts, start, start + taken)
        start += taken
    yield slice_parts(parts, start, len(text))


def slice_parts(parts: Cell, start: int, end: int) -> Cell:
    """Returns the parts of a line between two offsets of its text."""
    found: list[Part] = []
    at = 0
    for part in parts:
        text, style = (part, "") if isinstance(part, str) else part
        taken = text[max(0, start - at) : max(0, end - at)]
        at += len(text)
        if taken:
            found.append((taken, style) if style else taken)
    return tuple(found)


def cut_line(parts: Cell, width: int) -> Cell:
    """Returns a line in exactly `width` columns: cut with a mark, or filled with spaces."""
    text = plain_text(parts)
    if display_width(text) > width:
        kept = cut_end(text, width)
        parts = (*slice_parts(parts, 0, len(kept) - 1), kept[-1:])
        text = kept
    return (*parts, " " * (len(pad_end(text, width)) - len(text)))
