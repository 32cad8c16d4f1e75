"""A page of the documentation for a terminal: paragraphs in its width, and each row of a table that is too wide as a list.

Code stays as it is. The marks of Markdown stay too: they can be read.
"""

from collections.abc import Iterator

from gitbatch.patterns import compile_later
from gitbatch.text import display_width
from gitbatch.view.wrapping import wrap_text

_FENCE = compile_later(r"\s*(?:```|~~~)")
_START = compile_later(r"\s*(?:[-*+]|\d+\.) |#|>")
"""The start of a list item, a heading or a quotation: it continues no paragraph."""
_CELL = compile_later(r"(?<!\\)\|")
_RULE = compile_later(r"[\s|:-]+")


def render_page(text: str, width: int) -> str:
    """Returns a page of Markdown for a number of columns."""
    return "\n".join(line for block in _read_blocks(text) for line in _render_block(block, width))


def _read_blocks(text: str) -> Iterator[list[str]]:
    """Yields the paragraphs, items, tables and fences of a page, and its empty lines."""
    block: list[str] = []
    is_code = False
    for line in text.removesuffix("\n").split("\n"):
        is_fence = bool(_FENCE.match(line))
        if not is_code and block and (is_fence or _starts_block(line, block)):
            yield block
            block = []
        block.append(line)
        if is_fence and is_code:
            yield block
            block = []
        is_code ^= is_fence
    if block:
        yield block


def _starts_block(line: str, block: list[str]) -> bool:
    if _is_row(line) or _is_row(block[-1]):
        return _is_row(line) != _is_row(block[-1])
    return not line.strip() or not block[-1].strip() or bool(_START.match(line)) or block[0].startswith("#")


def _is_row(line: str) -> bool:
    return line.startswith("|")


def _render_block(block: list[str], width: int) -> Iterator[str]:
    if _FENCE.match(block[0]):
        yield from block
    elif _is_row(block[0]):
        yield from block if _fits(block, width) else _render_rows(block, width)
    else:
        indent = block[0][: len(block[0]) - len(block[0].lstrip())]
        text = " ".join(line.strip() for line in block)
        wrapped = wrap_text(indent + text, width).split("\n")
        yield wrapped[0]
        yield from wrapped[1:] if _START.match(block[0]) else (indent + line.strip() for line in wrapped[1:])


def _fits(lines: list[str], width: int) -> bool:
    return all(display_width(line) <= width for line in lines)


def _render_rows(rows: list[str], width: int) -> Iterator[str]:
    """Yields each row as its first cell, and below it the others; without the title row."""
    for row in rows[2:] if len(rows) > 1 and _RULE.fullmatch(rows[1]) else rows:
        first, *others = (cell.strip().replace("\\|", "|") for cell in _CELL.split(row.strip().strip("|")))
        yield from wrap_text(first, width).split("\n")
        for cell in others:
            wrapped = wrap_text(cell, width - 4).split("\n")
            yield from (f"    {line.strip()}" for line in wrapped)
