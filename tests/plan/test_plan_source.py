"""Bytes to text: every character knows its byte, line and column."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbatch.plan.source import read

LINES = st.lists(st.text("aä€😀\t \v\f\u2028\u0085", max_size=5), max_size=6)
NEWLINES = st.sampled_from(["\n", "\r\n", "\r"])


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("a", ["a"]),
        ("a\n", ["a", ""]),
        ("a\r\nb\rc\n\nd", ["a", "b", "c", "", "d"]),
        ("a\u2028b\vc\fd\u0085e\x1cf", ["a\u2028b\vc\fd\u0085e\x1cf"]),
        ("\r\r\n\n", ["", "", "", ""]),
    ],
)
def test_only_three_line_breaks_end_a_line(text: str, lines: list[str]) -> None:
    source, problems = read(text.encode())
    assert (list(source.lines()), problems) == (lines, ())


@given(LINES, NEWLINES, st.booleans())
def test_every_character_knows_its_byte(lines: list[str], newline: str, has_mark: bool) -> None:  # noqa: FBT001 - hypothesis passes it by position
    text = newline.join(lines)
    data = ("\ufeff" if has_mark else "").encode() + text.encode()
    source, _ = read(data)
    for offset in range(len(text) + 1):
        assert data[source.byte(offset) :].decode() == text[offset:]
        assert source.starts[source.line(offset)] <= offset


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("---\na: b\n---\n# T", 3),
        ("---\r\n# comment\r\n\r\n'key': b\r\n...\r\n", 5),
        ("---  \na:\n---\n", 3),
        ("---\n---\n", 2),
        ("---\na: b\n", 0),
        ("---\n\n## Arbeitspakete\n\n---\n", 0),
        ("---\nText\n---\n", 0),
        ("\n---\na: b\n---\n", 0),
        ("----\na: b\n----\n", 0),
        ("# T\n---\na: b\n---\n", 0),
    ],
)
def test_front_matter_is_yaml_between_two_rules_at_the_top(text: str, length: int) -> None:
    source, _ = read(text.encode())
    assert source.front_matter == length
