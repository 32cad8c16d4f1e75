"""The headings of any document, by byte offsets."""

import subprocess
import sys

import pytest

from gitbatch.plan.outline import Heading, outline

DOCUMENT = (
    "\ufeff---\r\ntitle: x\r\n---\r\n# Über ##\r\n\r\n## A <!-- c -->\r\ntext\r\n### Tief\r\n"
    "Zwei\r\nZeilen\r\n---\r\nmehr\r\n> # quoted\r\n\r\n- # listed\r\n\r\n```\r\n# code\r\n```\r\n# Ende"
)


def sections(data: bytes) -> list[tuple[int, str, str]]:
    return [(h.level, h.title, data[h.start : h.end].decode()) for h in outline(data)]


def test_headings_of_the_top_level_with_their_sections() -> None:
    data = DOCUMENT.encode()
    body = DOCUMENT[DOCUMENT.index("# Über") : DOCUMENT.index("# Ende")]
    assert sections(data) == [
        (1, "Über", body),
        (2, "A <!-- c -->", body[body.index("## A") : body.index("Zwei")]),
        (3, "Tief", "### Tief\r\n"),
        (2, "Zwei Zeilen", body[body.index("Zwei") :]),
        (1, "Ende", "# Ende"),
    ]


def test_every_field_of_a_heading() -> None:
    data = DOCUMENT.encode()
    assert outline(data)[3] == Heading(
        level=2,
        title="Zwei Zeilen",
        name="zwei zeilen",
        line=9,
        start=data.index(b"Zwei"),
        body=data.index(b"mehr"),
        end=data.index(b"# Ende"),
    )


@pytest.mark.parametrize(
    ("text", "titles"),
    [
        ("#", [""]),
        ("## ##", [""]),
        ("# a # b #", ["a # b"]),
        ("# a#", ["a#"]),
        ("#\ta\t#\t", ["a"]),
        ("#a", []),
        ("####### a", []),
        ("    # a", []),
        ("   # a", ["a"]),
        ("a\n=-=", []),
        ("a\n===   \nb\n-", ["a", "b"]),
        ("> q\n# a", ["a"]),
        ("- l\n# a", ["a"]),
        ("<div>\n# a\n</div>", []),
        ("<!--\n# a\n-->\n# b", ["b"]),
        ("---\n# a", ["a"]),
        ("\\# a", []),
    ],
)
def test_what_is_a_heading(text: str, titles: list[str]) -> None:
    assert [heading.title for heading in outline(text.encode())] == titles


@pytest.mark.parametrize("data", [b"\xff# a", b"# a\0", b"", "# a\n\ufdd0".encode()])
def test_what_can_not_be_read_has_no_headings(data: bytes) -> None:
    assert outline(data) == ()


def test_the_values_of_a_plan_come_without_a_markdown_parser() -> None:
    code = "import sys, gitbatch.plan.model, gitbatch.plan.titles, gitbatch.plan.outputs, gitbatch.plan.render; print('mistune' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "False\n"
