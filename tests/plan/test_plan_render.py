"""A diagnostic on a terminal: columns that fit, nothing that acts."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan.plan_samples import parse

from gitbatch.plan.model import Diagnostic, Severity
from gitbatch.plan.render import BEFORE, BEHIND, render_diagnostic, summary


def shown(source: bytes, start: int, end: int, *, message: str = "m", path: str = "task.md") -> list[str]:
    before = source[:start]
    line = before.count(b"\n") + 1
    column = len(before.rpartition(b"\n")[2].decode(errors="replace")) + 1
    diagnostic = Diagnostic("GB999", Severity.WARNING, message, "h", start, end, line, column)
    return render_diagnostic(diagnostic, source, path).split("\n")


def test_the_example_of_the_spec() -> None:
    source = b"# a\n\n\n\n- [ ] a \xe2\x86\x92 DoD: #7\n"
    assert shown(source, 24, 26) == [
        "task.md:5:16: GB999 warning: m",
        "5 | - [ ] a → DoD: #7",
        "  |                ^^",
        "help: h",
    ]


@pytest.mark.parametrize(
    ("before", "marked", "line", "carets"),
    [
        ("", "ab", "abz", "^^"),
        ("\ta\t", "b", "\ta\tbz", "\t \t^"),
        ("日本", "語", "日本語z", "    ^^"),
        ("a\u0308", "u\u0308", "a\u0308u\u0308z", " ^"),
        ("\x1b[31m", "b", "\ufffd[31mbz", "     ^"),
        ("\u200b\u202e", "\x00", "\ufffd\ufffd\ufffdz", "  ^"),
        ("😀", "", "😀z", "  ^"),
        ("a", "b\tc", "ab\tcz", " ^"),
    ],
)
def test_carets_stand_below_what_they_mean(before: str, marked: str, line: str, carets: str) -> None:
    source = f"{before}{marked}z\n".encode()
    start = len(before.encode())
    _, gutter, caret, _ = shown(source, start, start + len(marked.encode()))
    assert (gutter, caret) == (f"1 | {line}", f"  | {carets}")


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
def test_only_the_first_line_of_a_span_is_shown(newline: bytes) -> None:
    source = newline.join((b"one", b"two (a", b"b)"))
    start = source.index(b"(")
    assert shown(source, start, len(source))[1:3] == [
        f"{source[:start].count(10) + 1} | two (a",
        "  |     ^^",
    ]


def test_long_lines_are_cut_around_the_place() -> None:
    source = b"a" * 500 + b"MARK" + b"z" * 500
    _, line, carets, _ = shown(source, 500, 504)
    assert line == f"1 | …{'a' * BEFORE}MARK{'z' * (BEHIND - 4)}…"
    assert carets.index("^") == line.index("M")
    assert carets.count("^") == 4


def test_a_long_place_is_cut_too() -> None:
    source = b"M" * 500 + b"z"
    assert shown(source, 0, 500)[1:3] == [f"1 | {'M' * BEHIND}…", f"  | {'^' * BEHIND}"]


def test_the_gutter_is_as_wide_as_the_number() -> None:
    source = b"\n" * 99 + b"ab"
    assert shown(source, 100, 101)[1:3] == ["100 | ab", "    |  ^"]


def test_an_empty_first_line() -> None:
    assert shown(b"\nabc", 0, 0)[1:3] == ["1 | ", "  | ^"]
    assert shown(b"\rabc", 0, 4)[1:3] == ["1 | ", "  | ^"]


def test_bytes_that_are_no_text_are_shown_somehow() -> None:
    assert shown(b"\xef\xbb\xbfa\xffb", 4, 5)[1:3] == ["1 | a\ufffdb", "  |  ^"]


def test_path_message_and_help_are_harmless() -> None:
    head = shown(b"a", 0, 1, message="\x1b]0;x\x07", path="a\nb\x1b[0m.md")[0]
    assert head == "a b.md:1:1: GB999 warning: \ufffd]0;x\ufffd"


@given(st.text(max_size=60))
def test_no_text_of_a_plan_reaches_the_terminal_as_a_control(text: str) -> None:
    source = f"## Arbeitspakete\n### G\n- [ ] {text} → DoD: #9\n- [-] {text}\n"
    data = source.encode(errors="replace")
    for diagnostic in parse(data.decode()).diagnostics:
        said = render_diagnostic(diagnostic, data, "task.md")
        categories = {unicodedata.category(character) for character in said if character not in "\n\t"}
        assert not categories & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_a_summary_counts() -> None:
    plan = parse("## Arbeitspakete\n### G\n- [ ] a → DoD: #1\n<!-- max: 2 -->\n- [ ] b → DoD: #2\n")
    assert summary(plan.diagnostics) == "2 errors, 1 warning"
    assert summary(plan.diagnostics[:1]) == "1 error"
    assert summary(()) == ""
