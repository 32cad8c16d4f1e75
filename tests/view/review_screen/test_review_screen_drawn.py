"""What the review screen draws, at any size: each line is as wide as the terminal, and there are as many as it has."""

import pytest
from msgspec.structs import replace
from view.sheets import DONE, FAILED, ITEMS, press_keys, review_of, sheet_item

from gitbatch.agents.protocol import ReplyFlag
from gitbatch.batch.events import EarlyWork
from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.batch.history.item_details import AttemptDetails, ItemDetails, PersonDecision
from gitbatch.batch.model import ItemStatus
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.limits.usage import Spent, Usage
from gitbatch.text import clean_text, display_width
from gitbatch.view.block import Block, StyledLine, TextTable, make_line, plain_text
from gitbatch.view.review_screen.commands import follow_line, list_notices, render_overview
from gitbatch.view.review_screen.draw import draw_review
from gitbatch.view.review_screen.layout import lay_out
from gitbatch.view.review_screen.pane import LONGEST_DIFF, render_diff_page, render_pane
from gitbatch.view.review_screen.state import ReviewState, start_review

DETAILS = ItemDetails(
    clean_text("T1 Write a page"),
    summary=clean_text("It wrote a page of text. " * 20),
    flags=(ReplyFlag.SUMMARY_CUT,),
    decisions=(clean_text("Gitbatch-Review: approve 1 out/T1.md"), clean_text("I chose b.")),
    checks=(CheckResult("links", CheckVerdict.RED, 0.2, clean_text("b.md is missing")),),
    attempts=(
        AttemptDetails(
            1,
            ItemStatus.FAILED,
            None,
            clean_text("it broke"),
            (clean_text("at line 3"),),
            (),
            1.0,
            Usage(),
            (),
        ),
    ),
    reviews=(PersonDecision(DecisionKind.REVISE, "Say more.\nAnd better.", "4" * 40),),
)
SIZES = ((80, 24), (160, 50), (100, 24), (40, 12), (20, 5))
WIDE = "漢字と仮名の長い題名" * 30


def draw(state: ReviewState, width: int = 80, height: int = 24, content: Block = ()) -> list[str]:
    """Returns what is drawn, without spaces at the ends of lines."""
    lines = [plain_text(line) for line in draw_review(state, content, width, height)]
    assert len(lines) == height
    assert {display_width(line) for line in lines} == {width}
    return [line.rstrip() for line in lines]


@pytest.mark.parametrize("count", [1, 4, 40, 256])
@pytest.mark.parametrize("size", SIZES)
def test_every_line_fits(count: int, size: tuple[int, int]) -> None:
    """Titles of 10, 67, 78 and 300 characters and of wide ones; the selected item is there with its name."""
    titles = ("x" * 10, "y" * 67, "z" * 78, "w " * 150, WIDE)
    items = [sheet_item(f"T{n}", title=titles[n % len(titles)]) for n in range(count)]
    state, _ = press_keys(review_of(*items), "end")
    pane = render_pane(items[-1], DETAILS)
    assert any(line.startswith(f"> T{count - 1} ") for line in draw(state, *size, pane))
    for keys in (("enter",), ("d",), ("?",), ("v", *"a comment"), ("A", "c"), ("u",), ("A", "q")):
        draw(press_keys(state, *keys)[0], *size, pane)


def test_the_list_shows_failures_first_with_lines_and_costs() -> None:
    state, _ = press_keys(review_of(), "j", "x")
    lines = draw(state, content=render_pane(DONE[0], DETAILS))
    assert lines[0] == " Checkpoint 1/3, Letters: 3 of 4 items done     1 chosen, 2 undecided, 1 failed"
    assert lines[1].split() == ["T2", "failed", "-", "$0.0123", "exit", "code", "3"]
    assert lines[2].startswith("> T1  succeeded * rejected  ")
    assert lines[2].endswith(f"  {DONE[0].lines}  $0.0123  Write a page")
    assert lines[5].startswith("── T1  Write a page ──")
    assert "check links failed: b.md is missing" in lines
    assert "> Gitbatch-Review: approve 1 out/T1.md" in lines, "an agent's words are quoted"
    assert lines[-3] == "T1: rejected, not recorded yet"
    assert lines[-2].startswith("a approve")


def test_a_review_without_items_is_drawn() -> None:
    state = review_of()
    lines = draw(replace(state, sheet=replace(state.sheet, items=(), number=0)))
    assert lines[0].startswith(" No group has a checkpoint yet")


def test_a_reason_is_said_once() -> None:
    """An attempt is named where it says more than the reason of the item."""
    attempts = (
        replace(DETAILS.attempts[0], details=()),
        replace(
            DETAILS.attempts[0], number=2, reason=clean_text("exit code 3"), details=(clean_text("code"),)
        ),
    )
    lines = [
        plain_text(line) for line in lay_out(render_pane(FAILED, replace(DETAILS, attempts=attempts)), 80)
    ]
    assert "attempt 1: it broke" in lines
    assert not any(line.startswith("attempt 2") for line in lines)
    assert lines.count("reason: exit code 3") == 1


def test_the_pane_scrolls_and_says_what_is_below() -> None:
    pane = render_pane(DONE[0], replace(DETAILS, summary=clean_text("Words. " * 80)))
    first = draw(review_of(), content=pane)
    assert any(line.startswith("…") and line.endswith("more lines (PageDown)") for line in first)
    state, _ = press_keys(review_of(), "pagedown", "pagedown")
    last = draw(state, content=pane)
    assert "output: out/T1.md" in last
    assert "sent back: Say more." in "".join(last)
    assert "> And better." in last


def test_what_will_be_recorded_is_shown_before() -> None:
    state, _ = press_keys(review_of(), "r", "j", "v", *"Be short.", "enter", "j", "a", "c")
    lines = draw(state)
    assert lines[1] == "One commit with 3 decisions:"
    assert [line.split() for line in lines[2:6]] == [
        ["approved", "T3"],
        ["sent", "back", "T1"],
        [">", "Be", "short."],
        ["retried", "T2"],
    ]
    assert lines[6] == "2 items will run again before anything else."
    assert lines[7] == "undecided: T4"
    assert "your comment: Be short." in draw(press_keys(state, "escape", "k")[0])
    assert lines[-1] == "Record this and run it before what is left? (y, n)"
    state, _ = press_keys(state, "escape", "backspace", "q")
    assert draw(state)[-1] == "Stop here: record this? (y record, n drop it, Esc back)"


def test_a_long_comment_shows_its_end() -> None:
    state, _ = press_keys(review_of(), "j", "v")
    state = replace(state, typed="start\n" + "x" * 10_000 + "\nthe end")
    line = draw(state)[-2]
    assert line.startswith("comment for T1: …xxx")
    assert line.endswith("⏎the end_")


def test_a_long_notice_takes_several_lines() -> None:
    """What a refusal asks for stands at its end."""
    words = [f"word{number:02}" for number in range(60)]
    for count, lines in ((0, 1), (5, 1), (15, 2), (60, 3)):
        drawn = draw(replace(review_of(), notice=" ".join(words[:count])))
        start = len(drawn) - 2 - lines
        assert drawn[start - 1].startswith("──")
        shown = " ".join(line.strip() for line in drawn[start:-2]).strip()
        assert shown == " ".join(words[:count]) or (count, shown[-1]) == (60, "…")
        assert len(drawn) == 24


def test_a_comment_that_is_typed_and_not_chosen_is_seen() -> None:
    state, _ = press_keys(review_of(), "j", "v", *"Say", "enter")
    assert "your comment: Say" in draw(state)
    assert "typed, not chosen (v): Say" in draw(press_keys(state, "a")[0])
    assert not [line for line in draw(press_keys(state, "a", "v")[0]) if line.startswith("typed")]


def test_escape_sequences_in_a_diff_are_seen_and_not_obeyed() -> None:
    diff = b"diff --git a/x b/x\n@@ -0,0 +1,2 @@\n+\x1b[2J\x1b]0;title\x07red\x1b[31m\xff\r\x9b1m\n+\ttab\n-old\n"
    page = render_diff_page(diff, "gitbatch show T1 --diff")
    assert "\x1b" not in str(page)
    assert [line for line in draw(press_keys(review_of(), "d")[0], content=page)[1:6] if line] == [
        "diff --git a/x b/x",
        "@@ -0,0 +1,2 @@",
        "+^[[2J^[]0;title^Gred^[[31m<FF>^M<9B>1m",
        "+   tab",
        "-old",
    ]
    assert (
        draw(press_keys(review_of(), "d")[0], content=render_diff_page(b"", ""))[1] == "nothing is different"
    )


def test_a_huge_diff_is_cut_and_says_where_all_of_it_is() -> None:
    page = render_diff_page(b"@@ @@\n" + b"+x\n" * (LONGEST_DIFF + 9), "gitbatch show T1 --diff")
    assert len(page) == LONGEST_DIFF + 1
    assert plain_text(page[-1].parts) == "… and 10 more lines: gitbatch show T1 --diff"  # type: ignore[union-attr]


def test_a_block_is_laid_out_in_a_width() -> None:
    table = TextTable(((("a",), (("漢字", "red"),), ("x\ny",)), (("bcd",), ("",), ("z" * 30,))))
    block = (make_line("one two three four five six", indent=2), table)
    lines = [plain_text(line).rstrip() for line in lay_out(block, 24)]
    assert lines[:2] == ["  one two three four", "    five six"]
    assert lines[2] == "  a    漢字  x"
    assert lines[3] == "  y"
    assert all(display_width(line) <= 24 for line in lines)
    assert "".join("".join(lines[4:]).split()) == "bcd" + "z" * 30


def test_wide_characters_are_folded_by_their_columns() -> None:
    lines = [plain_text(line) for line in lay_out((make_line("漢" * 30),), 25)]
    assert [display_width(line) for line in lines] == [24, 24, 12]
    assert "".join(lines) == "漢" * 30


def test_many_items_are_counted_above_and_below() -> None:
    state, _ = press_keys(review_of(*(sheet_item(f"T{n}") for n in range(40))), *"j" * 20)
    assert any(line.endswith(" 16 above, 15 below") for line in draw(state))
    assert ITEMS[0] == FAILED


@pytest.mark.rule("F2")
def test_what_is_done_of_later_groups_is_said() -> None:
    sheet = replace(
        review_of(*ITEMS).sheet, early=EarlyWork(2, 1, Spent(Usage(requests=3, cost=0.4), known=3))
    )
    state = start_review(sheet, "continue with the next group")
    said = "3 items of later groups: 2 done, 1 running ($0.4000)"
    assert f"{said}. c: continue with the next" in "\n".join(draw(state))
    overview = [plain_text(part.parts) for part in render_overview(state) if isinstance(part, StyledLine)]
    assert said not in overview, "a review in lines begins with the notice too"
    assert list(list_notices(follow_line(state, "l", lambda _: ()).state)) == [said]
