"""The stale items of a batch, for people."""

from gitbatch.batch.history.reads import StaleInput, StaleItem
from gitbatch.paths import quote_path
from gitbatch.text import format_count
from gitbatch.view.block import Block, Cell, StyledLine, TextTable, make_line

_SHORT = 10
"""Digits of a blob."""


def render_stale(stale: tuple[StaleItem, ...]) -> Block:
    """Returns each item with the files that it read in another version, and how to run them again."""
    if not stale:
        return (make_line("no item is stale: what each has read is what the branch has"),)
    found: list[StyledLine | TextTable] = []
    for item in stale:
        path = quote_path(item.item)
        where = ((f"  {path}", "cyan"),) if path != item.name else ()
        found += [make_line((item.name, "bold"), *where), TextTable(tuple(map(_input_row, item.inputs)))]
    advice = f"{format_count(len(stale), 'item')} stale; run again: gitbatch retry --stale"
    return (*found, make_line((advice, "dim")))


def _input_row(found: StaleInput) -> tuple[Cell, ...]:
    read = f"read {found.read[:_SHORT]}" if found.read else "was missing"
    now = f"now {found.now[:_SHORT]}" if found.now else "now missing"
    return (quote_path(found.path),), (read,), (now,)
