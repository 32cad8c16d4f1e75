"""What hides what in a paragraph: code spans, comments, links, escapes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbatch.plan.inline import COMMENT, HIDDEN, SpanKind, one_line, scan


@pytest.mark.parametrize(
    ("text", "visible", "pieces"),
    [
        ("plain", "plain", []),
        ("a `b` c", "a ___ c", [(SpanKind.CODE, "b")]),
        ("`` ` ``", "_______", [(SpanKind.CODE, "`")]),
        ("` `` `", "______", [(SpanKind.CODE, "``")]),
        ("`  `", "____", [(SpanKind.CODE, "  ")]),
        ("`a\r\nb\nc`", "________", [(SpanKind.CODE, "a b c")]),
        ("`a ``b", "`a ``b", []),
        ("``a `b` c", "``a ___ c", [(SpanKind.CODE, "b")]),
        (r"\`a` b`", "__a____", [(SpanKind.CODE, " b")]),
        (r"\\`a`", "_____", [(SpanKind.CODE, "a")]),
        (r"\→ \(", r"\→ __", []),
        ("a <!-- b --> c", "a !!!!!!!!!! c", [(SpanKind.COMMENT, " b ")]),
        ("a <!-- b", "a <!-- b", []),
        ("<!---->-->", "!!!!!!!-->", [(SpanKind.COMMENT, "")]),
        ("<!-- ` --> ` b", "!!!!!!!!!! ` b", [(SpanKind.COMMENT, " ` ")]),
        ("`<!-- ` -->", "_______ -->", [(SpanKind.CODE, "<!-- ")]),
        (r"\<!-- a -->", "__!-- a -->", []),
        ("[a](b) c", "______ c", [(SpanKind.LINK, "b")]),
        ("![a](b.png)", "___________", [(SpanKind.LINK, "b.png")]),
        ("[a](<b c> 'title')", "__________________", [(SpanKind.LINK, "b c")]),
        ('[a](b "t")', "__________", [(SpanKind.LINK, "b")]),
        ("[a](b(1).md)", "____________", [(SpanKind.LINK, "b(1).md")]),
        ("[a [b] c](d)", "____________", [(SpanKind.LINK, "d")]),
        ("[`a`](b)", "________", [(SpanKind.LINK, "b")]),
        (
            "`a` [b](c) `d`",
            "___ ______ ___",
            [(SpanKind.CODE, "a"), (SpanKind.LINK, "c"), (SpanKind.CODE, "d")],
        ),
        ("[a](b c)", "[a](b c)", []),
        ("[a] (b)", "[a] (b)", []),
        ("[a]()", "_____", [(SpanKind.LINK, "")]),
        ("[a`](b)`", "[a______", [(SpanKind.CODE, "](b)")]),
    ],
)
def test_pieces_and_mask(text: str, visible: str, pieces: list[tuple[SpanKind, str]]) -> None:
    inline = scan(text)
    assert inline.mask.replace(HIDDEN, "_").replace(COMMENT, "!") == visible
    assert [(piece.kind, piece.content) for piece in inline.pieces] == pieces


@given(st.text("ab`\\<!->[]() \n", max_size=60))
def test_a_mask_is_as_long_as_its_text_and_hides_exactly_its_pieces(text: str) -> None:
    inline = scan(text)
    assert len(inline.mask) == len(text)
    hidden = {i for piece in inline.pieces for i in range(piece.start, piece.end)}
    for index, (mask, character) in enumerate(zip(inline.mask, text, strict=True)):
        assert (mask in {HIDDEN, COMMENT}) or mask == character
        assert index not in hidden or mask != character
    ends = [piece.end for piece in inline.pieces]
    assert all(end <= piece.start for end, piece in zip(ends, inline.pieces[1:], strict=False))


def test_one_line() -> None:
    assert one_line("a  b\n c", []) == "a b c"
    assert one_line("a [b] c (d) e", [(8, 11), (2, 5)]) == "a c e"
    assert one_line("ab (c (d) e) f", [(3, 12), (6, 9)], start=1) == "b f"
