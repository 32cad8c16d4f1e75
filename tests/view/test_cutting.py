"""Cutting lines to columns."""

import pytest

from gitbatch.text import display_width
from gitbatch.view.cutting import cut_end, cut_start, pad_end


@pytest.mark.parametrize(
    ("text", "width", "end", "start"),
    [
        ("short", 5, "short", "short"),
        ("longer", 5, "long…", "…nger"),
        ("日本語", 5, "日本…", "…本語"),
        ("日本語", 4, "日…", "…語"),
        ("日本語", 1, "…", "…"),
        ("longer", 0, "", ""),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…", "…e\u0301"),
    ],
)
def test_text_fits_its_columns(text: str, width: int, end: str, start: str) -> None:
    assert (cut_end(text, width), cut_start(text, width)) == (end, start)
    assert display_width(cut_end(text, width)) <= width


def test_mark_of_a_limited_terminal_takes_three_columns() -> None:
    assert (cut_end("longer text", 8, "..."), cut_start("longer text", 8, "...")) == ("longe...", "... text")
    assert (cut_end("longer", 2, "..."), cut_start("longer", 2, "...")) == ("lo", "lo")


def test_padding_counts_columns() -> None:
    assert pad_end("日", 4) == "日  "
