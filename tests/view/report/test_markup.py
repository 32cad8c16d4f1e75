"""The one place that makes HTML: every text is text, whatever it looks like, and no element or address comes of it."""

from collections.abc import Callable
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_text import HOSTILE

from gitbatch.text import clean_lines
from gitbatch.view.report.markup import Markup, escape_text, join_markup, link_commit, make_element

ATTACKS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "<a href=javascript:alert(1)>look</a>",
    "</style><style>*{display:none}</style>",
    "}*{background:url(//example.org)}",
    "<style>@import '//example.org'</style>",
    "</title></svg><foreignObject><iframe src=//example.org></foreignObject>",
    "]]><!--><script>alert(1)</script>-->",
    "<meta http-equiv=refresh content=0;url=//example.org>",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "<base href=//example.org/>",
)
"""Texts that would be something else on a page that did not escape them."""


class Reader(HTMLParser):
    """The elements of a page, with the names and values of their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_comment(self, data: str) -> None:
        self.elements.append(("comment", ((data, None),)))


@pytest.mark.parametrize("text", [*HOSTILE, *ATTACKS])
def test_a_text_stays_text(text: str) -> None:
    made = make_element("p", text, aria_label=text)
    shown = text if text.isascii() and text.isprintable() else clean_lines(text, 20_000)
    read = Reader(made)
    assert read.text == shown
    assert read.elements == [("p", (("aria-label", shown),))]
    element = ET.fromstring(made)  # noqa: S314 - our own page
    assert (element.text or "") == shown
    assert element.get("aria-label") == shown.replace("\n", " ")  # XML's attributes have no line breaks


@given(st.text(max_size=300))
def test_any_text_stays_text(text: str) -> None:
    read = Reader(make_element("p", text))
    assert [tag for tag, _ in read.elements] == ["p"]
    assert all(c.isprintable() or c == "\n" for c in read.text.replace("\xa0", " ") if not c.isspace())


def test_what_a_reader_does_not_see_is_gone() -> None:
    assert escape_text("a\u202eb\x1b[31mc\u200bd\x00e") == "abcde"
    assert escape_text("one\n  two\u2028three") == "one\n  two\nthree"
    assert len(escape_text("x" * 30_000)) == 20_000


def test_pieces_are_not_escaped_twice() -> None:
    inner = make_element("code", "a & b")
    assert make_element("p", inner, " < ", "c") == "<p><code>a &amp; b</code> &lt; c</p>"
    assert isinstance(join_markup((inner, "<")), Markup)


@pytest.mark.parametrize("make", [lambda: make_element("script"), lambda: make_element("p", onclick="x")])
def test_only_known_elements_and_attributes(make: Callable[[], Markup]) -> None:
    with pytest.raises(KeyError):
        make()


def test_numbers_and_names_of_attributes() -> None:
    made = make_element("rect", class_="bad", x=12.50, text_anchor="middle")
    assert made == '<rect class="bad" x="12.5" text-anchor="middle"></rect>'
    assert make_element("meta", charset="utf-8") == '<meta charset="utf-8"/>'


def test_links_lead_to_commits_alone() -> None:
    oid = "0123456789abcdef" * 2 + "01234567"
    assert link_commit(oid) == f'<a href="#{oid}">0123456789ab</a>'
    for text in ("javascript:alert(1)", f"{oid}\n", f'{oid}"', "", oid[:39]):
        assert "<a" not in link_commit(text)
