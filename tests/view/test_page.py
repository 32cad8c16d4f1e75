"""Blocks where they are shown: as plain lines in a pipe, laid out by rich in a terminal."""

from io import StringIO

import pytest
from rich.console import Console

from gitbatch.view.block import Block, StyledLine, TextTable, make_line
from gitbatch.view.page import PlainPage
from gitbatch.view.terminal import Terminal

WIDE: Block = (
    make_line(("head", "bold"), "  [not markup]"),
    TextTable(((("a",), ("b" * 5, "!"), ("last\n", ("more", "dim"))), (("aaa",), ("日本",), ("x",)))),
    make_line("one\n", "two", indent=4),
)


def in_pipe(block: Block) -> str:
    stream = StringIO()
    PlainPage(stream).show_block(block)
    return stream.getvalue()


def in_terminal(block: Block, width: int = 80) -> str:
    stream = StringIO()
    console = Console(
        file=stream, force_terminal=True, color_system=None, width=width, markup=False, highlight=False
    )
    Terminal(console).show_block(block)
    return stream.getvalue()


def test_a_pipe_gets_columns_and_no_spaces_at_the_end() -> None:
    assert in_pipe(WIDE) == (
        "head  [not markup]\n  a    bbbbb!  last\n               more\n  aaa  日本    x\n    one\n    two\n"
    )


def test_a_terminal_shows_the_same() -> None:
    shown = "\n".join(text.rstrip() for text in in_terminal(WIDE).split("\n"))
    assert shown.replace("\x1b[1m", "").replace("\x1b[2m", "").replace("\x1b[0m", "") == in_pipe(WIDE)


def test_a_terminal_folds_what_is_too_wide_and_a_pipe_does_not() -> None:
    block: Block = (TextTable(((("succeeded",), ("T1",), ("word " * 30,)),)),)
    assert in_pipe(block).count("\n") == 1
    lines = in_terminal(block, 40).splitlines()
    assert len(lines) > 5
    assert all(len(text) <= 40 for text in lines)
    assert lines[0].startswith("  succeeded  T1  word")


@pytest.mark.parametrize(
    ("text", "cells"), [("", 0), ("abc", 3), ("é", 1), ("e\u0301", 1), ("日本", 4), ("ﬁx", 2), ("🙂", 2)]
)
def test_the_next_column_begins_where_it_should(text: str, cells: int) -> None:
    shown = in_pipe((TextTable((((text,), ("|",)), (("x" * 10,), ("|",))), indent=0),))
    first, second = shown.splitlines()
    assert first.index("|") - len(text) == second.index("|") - cells


def test_an_empty_line_and_an_empty_table() -> None:
    assert in_pipe((StyledLine(()), TextTable(()))) == "\n"
    assert in_terminal((StyledLine(()),)) == "\n"


def test_a_row_that_is_cut_is_one_line_of_a_terminal() -> None:
    rows = ((("succeeded",), ("T1",), ("word " * 30,)), (("succeeded",), ("T2",), ("short",)))
    first, second = in_terminal((TextTable(rows, is_cut=True),)).splitlines()
    assert first.startswith("  succeeded  T1  word")
    assert first.rstrip().endswith("…")
    assert len(first) <= 80
    assert second.rstrip() == "  succeeded  T2  short"
