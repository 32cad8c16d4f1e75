"""What the lines of a section name, and what stands in it only as an aside."""

import pytest

from gitbatch.errors import PlanError
from gitbatch.plan.inline import SpanKind, scan
from gitbatch.plan.outline import outline
from gitbatch.project.sections import decode_link, read_section, require_text


def lines(text: str) -> list[str]:
    """The lines that say something, of a section with this text."""
    source = f"\ufeff# Before\n\nbefore\n\n# Ä\n{text}\n# After\n\nafter\n".encode()
    return [line.text for line in read_section(source, outline(source)[1]) if line.text.strip()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\n\nb\n", ["a", "b"]),
        ("a\n\n## Inside\n\nb", ["a", "## Inside", "b"]),
        ("a <!-- not\nthis --> b", ["a  b"]),
        ("a\n<!-- not\n\nthis\n-->\nb", ["a", "b"]),
        ("a\n<!-- never closed", ["a"]),
        ("a\n```\nnot this\n```\nb", ["a", "b"]),
        ("a\n~~~ python\nnot this\n~~~\nb", ["a", "b"]),
        ("a\n````\n```\nnot this\n```\n````\nb", ["a", "b"]),
        ("a\n```\nnot this\n~~~\nnor this\n`````\nb", ["a", "b"]),
        ("a\n   ```\r\nnot this\r\n   ```  \r\nb", ["a", "b"]),
        ("a\n```\nnever closed", ["a"]),
        ("a\n``` is `no` fence\nb", ["a", "``` is `no` fence", "b"]),
        ("a ```\nb", ["a ```", "b"]),
    ],
)
def test_comments_and_fences_are_asides(text: str, expected: list[str]) -> None:
    assert lines(text) == expected


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ("[a](docs/a.md)", "docs/a.md"),
        ("[a](docs/a.md#part)", "docs/a.md"),
        ("[a](#part)", ""),
        ("[a](with%20space%2Fa.md)", "with space/a.md"),
        ("[a](<with space/a.md>)", "with space/a.md"),
        ('[a](a.md "Title")', "a.md"),
    ],
)
def test_the_path_of_a_link(link: str, expected: str) -> None:
    (piece,) = scan(link).pieces
    assert piece.kind is SpanKind.LINK
    assert decode_link(piece) == expected


def test_a_text_is_required_to_be_one() -> None:
    require_text("a.md", "# Ä\n".encode())
    with pytest.raises(PlanError, match=r"^docs/a.md:2: byte 0xc4 is not UTF-8$") as raised:
        require_text("docs/a.md", b"# A\n\xc4\n")
    assert raised.value.advice == "save the file as UTF-8"
