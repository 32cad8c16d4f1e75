"""A checkpoint for a review, as text."""

from io import StringIO

import pytest
from msgspec.structs import replace
from rich.console import Console
from view.events import BROKE, CHECKPOINT, CRITERION, ITEM, LINES, WROTE

from gitbatch.agents.protocol import Reply, ReplyFlag
from gitbatch.agents.reply import make_reply
from gitbatch.batch.model import Checkpoint, CriterionState, FailedAttempt, ItemStatus
from gitbatch.batch.verdicts import GateState, GateVerdict
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.limits.causes import Cause
from gitbatch.project.context import InputProblem, MissingInput
from gitbatch.text import clean_text
from gitbatch.view.block import StyledLine, TextTable, plain_text
from gitbatch.view.review import cut_missing, render_checkpoint, render_criteria
from gitbatch.view.terminal import Terminal

TRIED = FailedAttempt(ITEM.key, "0" * 40, 1, ItemStatus.FAILED, None, clean_text("it broke"))


def text_of(checkpoint: Checkpoint) -> str:
    parts: list[str] = []
    for part in render_checkpoint(checkpoint):
        if isinstance(part, StyledLine):
            parts.append(plain_text(part.parts))
        else:
            parts += [" ".join(plain_text(cell) for cell in row) for row in part.rows]
    return "\n".join(parts)


def test_gates() -> None:
    gates = (
        GateVerdict("tests", GateState.PASSED, "2" * 40, seconds=1.5, runs=2),
        GateVerdict("links", GateState.RED_BEFORE, "2" * 40, note=clean_text("exit code 1: 2 dead links")),
    )
    said = text_of(replace(CHECKPOINT, gates=gates))
    assert "gate tests: pass (2 runs, 1.5 s)\n" in said
    assert "gate links: red before this group already\nexit code 1: 2 dead links\n" in said


def test_checks() -> None:
    passed, skipped = (
        CheckResult("links", CheckVerdict.PASS, 0.4),
        CheckResult("style", CheckVerdict.SKIP, 0.1),
    )
    said = text_of(replace(CHECKPOINT, outcomes=(replace(WROTE, checks=(passed, skipped)),)))
    assert "[links passed, style skipped] It wrote a." in said
    red = replace(
        BROKE, cause=Cause.CHECK_FAILED, details=(clean_text("links: dead"), clean_text("links: gone"))
    )
    assert "the checks said of T1:\nlinks: dead\nlinks: gone" in text_of(replace(CHECKPOINT, outcomes=(red,)))


def test_details_of_failures() -> None:
    loud = replace(BROKE, details=(clean_text("line 1"), clean_text("line 2")))
    assert "T1 said:\nline 1\nline 2" in text_of(replace(CHECKPOINT, outcomes=(loud,)))
    kept = replace(BROKE, rescued="refs/kept")
    assert "T1:\nwhat it had written is kept: git show refs/kept" in text_of(
        replace(CHECKPOINT, outcomes=(kept,))
    )


def test_failures_come_first_and_an_item_is_a_line() -> None:
    lines = text_of(
        replace(CHECKPOINT, outcomes=(replace(WROTE, attempts=3, earlier=(TRIED,)), BROKE))
    ).split("\n")
    assert lines[1].split() == ["failed", "T1", "it", "broke"]
    assert lines[2].split() == [
        "succeeded",
        "T1",
        *str(LINES).split(),
        "[3",
        "attempts]",
        "It",
        "wrote",
        "a.",
    ]


def test_a_reason_is_said_once() -> None:
    tried = replace(BROKE, details=(BROKE.reason,), attempts=2, earlier=(TRIED,))
    assert text_of(replace(CHECKPOINT, outcomes=(tried,))).count(BROKE.reason) == 1
    other = replace(tried, earlier=(replace(TRIED, reason=clean_text("another")),))
    assert "2 attempts; failed before: 1: another" in text_of(replace(CHECKPOINT, outcomes=(other,)))


def test_flags_and_strays() -> None:
    flagged = Reply(clean_text("It wrote."), flags=(ReplyFlag.SUMMARY_CUT,))
    outcome = replace(WROTE, reply=flagged, strays=(clean_text("junk.txt"),))
    shown = text_of(replace(CHECKPOINT, outcomes=(outcome,)))
    assert "[summary cut to 3 sentences] [discarded: junk.txt] It wrote." in shown
    short = replace(WROTE, reply=make_reply("It wrote."))
    assert "[short summary] It wrote." in text_of(replace(CHECKPOINT, outcomes=(short,)))


def test_notes_and_kept_paths() -> None:
    shown = text_of(replace(CHECKPOINT, notes=(clean_text("a remark"),), kept=("task.md",)))
    assert "note: a remark\n" in shown
    assert shown.endswith("note: kept: your own version of task.md in the checkout")


@pytest.mark.rule("T2")
@pytest.mark.parametrize(
    ("criterion", "coverage"),
    [
        (CRITERION, "ready: tick it"),
        (replace(CRITERION, items=()), "cross-cutting"),
        (replace(CRITERION, items=("T1", "T2"), open_items=1), "1/2 items"),
        (replace(CRITERION, done=True), "1/1 item"),
    ],
)
def test_coverage(criterion: CriterionState, coverage: str) -> None:
    (table,) = render_criteria((criterion,))
    assert isinstance(table, TextTable)
    assert plain_text(table.rows[0][2]) == coverage


def test_no_criteria() -> None:
    assert render_criteria(()) == ()


@pytest.mark.rule("P4", "C3")
def test_what_several_items_lack_is_one_line() -> None:
    lacking = MissingInput("a.md", InputProblem.NOT_WRITTEN, clean_text("failed: exit 3"))
    outcomes = tuple(
        replace(WROTE, item=replace(WROTE.item, name=f"T{number}"), missing=(lacking,)) for number in range(7)
    )
    line = "T0, T1, T2, T3, T4 and 2 more: not written: a.md (failed: exit 3)"
    assert line in text_of(replace(CHECKPOINT, outcomes=outcomes)).splitlines()


def test_many_missing_inputs_are_counted() -> None:
    """Ten items that read ten files each would fill the screen with one cause."""
    lines = tuple("abcdefg")
    assert cut_missing(lines) == ("a", "b", "c", "d", "e", "and 2 more missing inputs")
    assert cut_missing(lines[:6]) == lines[:6]
    lacking = tuple(MissingInput(f"{n}.md", InputProblem.NOT_WRITTEN, clean_text("failed")) for n in range(9))
    shown = text_of(replace(CHECKPOINT, outcomes=(replace(WROTE, missing=lacking),))).splitlines()
    assert [line for line in shown if "missing" in line] == ["and 4 more missing inputs"]


def test_an_item_takes_one_line_of_a_terminal() -> None:
    """Whatever its agent said, and where it has a path instead of an id."""
    reply = Reply(clean_text("word " * 100))
    items = [replace(ITEM, name=f"docs/reference/section-{n}/a-page.md") for n in range(20)]
    outcomes = tuple(replace(WROTE, item=item, reply=reply) for item in items)
    stream = StringIO()
    console = Console(file=stream, force_terminal=True, color_system=None, width=80)
    Terminal(console).show_block(render_checkpoint(replace(CHECKPOINT, outcomes=outcomes)))
    lines = [line for line in stream.getvalue().splitlines() if line.startswith("  succeeded")]
    assert len(lines) == 20
    assert len(stream.getvalue().splitlines()) == 20 + 3, "a title, the sums, one criterion"
    assert all(len(line) <= 80 and str(LINES) in line for line in lines)
