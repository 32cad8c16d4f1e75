"""The page of an item, and its diff."""

import pytest
from msgspec.structs import replace

from gitbatch.agents.protocol import Contribution, ReplyFlag
from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.batch.history.item_details import AttemptDetails, GivenFile, ItemDetails, PersonDecision
from gitbatch.batch.model import ItemStatus
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.plan.model import ItemKey
from gitbatch.project.context import InputProblem, MissingInput
from gitbatch.text import CleanText
from gitbatch.view.batch_state import ItemState
from gitbatch.view.block import StyledLine, plain_text
from gitbatch.view.diff import render_diff
from gitbatch.view.item_page import render_item_page

ITEM = ItemState("out/a b.md", "T1", 1, ItemKey("1-t1"), ItemStatus.FAILED, "it broke", attempts=1)
FAILED = AttemptDetails(
    number=1,
    status=ItemStatus.FAILED,
    cause=Cause.TIMEOUT,
    reason=CleanText("too slow"),
    details=(CleanText("working"),),
    strays=(CleanText("notes.tmp"),),
    seconds=61.0,
    usage=Usage(),
    checks=(),
)
DETAILS = ItemDetails(CleanText("Write a"), attempts=(FAILED,))


def render(details: ItemDetails, item: ItemState = ITEM) -> list[str]:
    """The page without its colours; the cells of a table with a bar between."""
    lines: list[str] = []
    for part in render_item_page("B", item, details, (CleanText("oops"),), " -C x"):
        if isinstance(part, StyledLine):
            lines.append(plain_text(part.parts))
        else:
            lines += [" | ".join(map(plain_text, row)) for row in part.rows]
    return lines


def test_an_item_without_an_id_is_named_with_its_group() -> None:
    """Groups may write one file, so its path alone may name several items."""
    *_, prompt, _ = render(DETAILS, replace(ITEM, name=ITEM.item))
    assert prompt == "prompt:  gitbatch show -C x '1:out/a b.md' --prompt"


def test_failed_item() -> None:
    assert render(DETAILS) == [
        "T1  Write a",
        "failed in group 1 of batch B",
        "reason: it broke",
        "output: out/a b.md",
        "attempts",
        "1 | failed | 1 min 1 s |  | too slow (timed out)",
        "attempt 1 said:",
        "working",
        "left in its worktree: notes.tmp",
        "standard error, last lines",
        "oops",
        "prompt:  gitbatch show -C x T1 --prompt",
        "log:  gitbatch show -C x T1 --log",
    ]


def test_finished_item() -> None:
    check = CheckResult("lint", CheckVerdict.PASS, 0.5)
    review = PersonDecision(DecisionKind.REVISE, "more\nof it", "c" * 40, "strong", CleanText("Ann"))
    details = ItemDetails(
        CleanText("T1 Write a"),
        commit="a" * 40,
        base="b" * 40,
        blob="d" * 40,
        is_finished=True,
        agent=CleanText("told"),
        summary=CleanText("Wrote it."),
        decisions=(CleanText("use one"),),
        contributions=(Contribution(CleanText("inventory.md"), CleanText("a")),),
        flags=(ReplyFlag.SUMMARY_SHORT,),
        context=(GivenFile("rules.md", "e" * 40),),
        missing=(MissingInput("out/c.md", InputProblem.NOT_WRITTEN, CleanText("T9 failed")),),
        criteria=CleanText("#1"),
        checks=(check,),
        reviews=(review,),
    )
    lines = render(details, replace(ITEM, status="succeeded", reason="", rescued="refs/x"))
    assert lines[0] == "T1  Write a"
    wanted = (
        f"commit {'a' * 10} on {'b' * 10}",
        "agent told",
        "Definition of Done: #1",
        "[short summary] Wrote it.",
        "use one",
        "inventory.md: a",
        f"1 | {'e' * 10} | rules.md",
        "without: not written: out/c.md (T9 failed)",
        "lint | passed | 0.5 s | ",
        f"sent back by Ann, for agent strong  commit {'c' * 10}",
        "more",
        "of it",
        "diff:  gitbatch show -C x T1 --diff",
        "take:  gitbatch rescue take -C x T1",
    )
    assert [line for line in wanted if line not in lines] == []


def test_item_that_reads_nothing_it_was_to_read() -> None:
    lost = MissingInput("out/c.md", InputProblem.NOT_FOUND, CleanText("gone"))
    assert "reads" in render(replace(DETAILS, missing=(lost,)))


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"+a\x1b[2Jb", "\x1b[32m+a\x1b[m\x1b[32;7m^[\x1b[m\x1b[32m[2Jb\x1b[m"),
        (b"+a\tb", "\x1b[32m+a  b\x1b[m"),
        (b"-\xff\r", "\x1b[31m-\x1b[m\x1b[31;7m<FF>^M\x1b[m"),
        (b"--- a\x0c+++ b", "\x1b[31m--- a\x1b[m\x1b[31;7m^L\x1b[m\x1b[31m+++ b\x1b[m"),
        (" \u202eab\u200b".encode(), " \x1b[7m<U+202E>\x1b[mab\x1b[7m<U+200B>\x1b[m"),
        (b" same", " same"),
        (b"@@ -1 +1 @@ f", "\x1b[36m@@ -1 +1 @@ f\x1b[m"),
    ],
)
def test_diff(line: bytes, shown: str) -> None:
    """A line of git's stays one line, and only a line of a head looks like one."""
    head = b"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n"
    painted = render_diff(head + line + b"\n", has_colour=True).splitlines()
    assert painted[0] == "\x1b[1mdiff --git a/x b/x\x1b[m"
    assert painted[-1] == shown
    assert "\x1b" not in render_diff(head + line, has_colour=False)
