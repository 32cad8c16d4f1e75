"""Wrapping at words: commands and code stay whole, what is laid out already stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gitbatch.text import display_width
from gitbatch.view.block import make_line
from gitbatch.view.terminal import Terminal
from gitbatch.view.wrapping import wrap_text

WORDS = "one two three four five six seven eight nine ten eleven twelve"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (WORDS, "one two three four five six\n  seven eight nine ten eleven\n  twelve"),
        (f"  {WORDS[:30]}", "  one two three four five six\n    se"),
        (
            "look at it with gitbatch run --items failed --checkpoint at-end",
            "look at it with\n  gitbatch run --items failed --checkpoint at-end",
        ),
        (
            "twelve letters: `a code span that is long` end",
            "twelve letters:\n  `a code span that is long`\n  end",
        ),
        (
            "kept the output (git show refs/gitbatch/x/rescue/y) here",
            "kept the output\n  (git show refs/gitbatch/x/rescue/y)\n  here",
        ),
        (
            "write it to the checkout: gitbatch rescue take ITEM",
            "write it to the checkout:\n  gitbatch rescue take ITEM",
        ),
        (
            "12 | - [ ] a long line of a plan that is quoted",
            "12 | - [ ] a long line of a plan that is quoted",
        ),
        ("   |                                    ^^^^^^", "   |                                    ^^^^^^"),
        (
            "options: `-j N`/`--jobs N`, `--sandbox KIND`",
            "options: `-j N`/`--jobs N`,\n  `--sandbox KIND`",
        ),
        ("short", "short"),
        ("", ""),
    ],
)
def test_wrapped(text: str, expected: str) -> None:
    assert wrap_text(text, 30) == expected


def test_word_with_odd_backticks_is_whole() -> None:
    word = "`" * 17 + "漢漢"
    assert wrap_text(word, 20) == word


def test_width_that_is_unknown() -> None:
    assert wrap_text(WORDS, 0) == WORDS


@given(st.text("ab `'-漢", max_size=120), st.integers(20, 60))
def test_no_word_is_lost_and_lines_fit(text: str, width: int) -> None:
    lines = wrap_text(text, width).split("\n")
    assert " ".join(" ".join(lines).split()) == " ".join(text.split())
    for line in lines:
        assert display_width(line) <= width or "`" in line or " " not in line.strip()


def test_terminal_wraps_styled_lines() -> None:
    terminal = Terminal(Console(width=30, force_terminal=True, color_system=None))
    block = (make_line("resume it: ", ("gitbatch run --continue --checkpoint at-end", "bold"), indent=2),)
    assert terminal.render_text(block) == ("  resume it:\n    gitbatch run --continue --checkpoint at-end\n")
    assert terminal.render_text((make_line("a\n\nb"),)) == "a\n\nb\n"


@pytest.mark.parametrize("first", ["CLAUDE.md", "gitbatch.toml", "docs/a-file.md", "task.md"])
def test_commands_that_follow_each_other_are_one(first: str) -> None:
    """Copied in two lines, the second would run as a command of its own."""
    paths = " ".join(f"docs/phases/phase-1/{name}.md" for name in ("task", "status", "rules"))
    line = f"  git add {first} {paths} && git commit -m 'Plan phase-1'"
    assert wrap_text(line, 80) == line
