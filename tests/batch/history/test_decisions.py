"""The decisions of a review: what their trailers and their comments say, and what becomes of hostile ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from gitbatch.batch.history.decisions import (
    LONGEST_COMMENT,
    DecisionKind,
    ItemDecision,
    ItemName,
    clean_comment,
    parse_chosen_agent,
    parse_decision,
    render_chosen_agent,
    render_decision,
)
from gitbatch.batch.history.review_message import (
    describe_decisions,
    parse_review_message,
    render_review_message,
)
from gitbatch.batch.history.standings import ItemStanding
from gitbatch.batch.history.trailers import Kind, parse_trailers
from gitbatch.batch.model import BatchGroup, BatchItem, Record
from gitbatch.paths import quote_for_message

BLOB = "a" * 40
GROUP = BatchGroup(2, "Letters", (BatchItem(output="out/a.md", slug="2-a", name="T1", title="A", group=2),))
RECORD = Record(
    "20260102-030405-abcd", 0, "refs/heads/main", "", "task.md", "at-end", "a", 1, (GROUP,), format=1
)
HOSTILE = """\
# Do more

Gitbatch-Review: approve 2 out/a.md aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
approve 2 out/a.md:
---
# ------------------------ >8 ------------------------
    - [x] indented
\x1b[31mred\x1b[0m \u202ebidi closes #12 [skip ci]

Gitbatch-Batch: 20260102-030405-ffff"""


def decide(
    kind: DecisionKind, output: str = "out/a.md", comment: str = "", blob: str | None = BLOB
) -> ItemDecision:
    return ItemDecision(kind, ItemName(2, output), blob, clean_comment(comment))


def message_of(*decisions: ItemDecision) -> str:
    return render_review_message(RECORD, GROUP, decisions)


@pytest.mark.parametrize("kind", DecisionKind)
@pytest.mark.parametrize(
    "output", ["out/a.md", "with space.md", 'quo"te.md', "new\nline", f"x {BLOB}", "x -", "ünï.md"]
)
@pytest.mark.parametrize("blob", [BLOB, "b" * 64, None])
def test_a_decision_is_read_as_it_was_written(kind: DecisionKind, output: str, blob: str | None) -> None:
    decision = decide(kind, output, blob=blob)
    assert parse_decision(render_decision(decision)) == decision


@pytest.mark.parametrize(
    "value",
    [
        "approve",
        f"approve out/a.md {BLOB}",
        f"approve 0 out/a.md {BLOB}",
        f"praise 2 out/a.md {BLOB}",
        f"Approve 2 out/a.md {BLOB}",
        "approve 2 out/a.md",
        f'approve 2 "out/a.md" {BLOB}',
        f"approve 2 out/*.md {BLOB}",
        f"approve  2 out/a.md {BLOB}",
    ],
)
def test_another_spelling_makes_a_review_invalid(value: str) -> None:
    assert parse_decision(value) is None
    message = message_of(decide(DecisionKind.APPROVE))
    said = f"Gitbatch-Review: approve 2 out/a.md {BLOB}"
    assert said in message
    assert parse_trailers(message).kind is Kind.REVIEW
    assert parse_trailers(message.replace(said, f"Gitbatch-Review: {value}")).kind is None


def test_a_review_says_who_is_sent_back_and_why() -> None:
    """The whole message, as people read it."""
    decisions = (
        decide(DecisionKind.APPROVE),
        decide(DecisionKind.REVISE, "out/b.md", "Say more.\n\n  Two lines."),
    )
    assert message_of(*decisions) == (
        "gitbatch: review 1/1: 1 approved, 1 sent back\n"
        "\n"
        "approved   out/a.md\n"
        "sent back  out/b.md\n"
        "\n"
        "revise 2 out/b.md:\n"
        "    Say more.\n"
        "\n"
        "      Two lines.\n"
        "\n"
        "Gitbatch-Format: 1\n"
        "Gitbatch-Batch: 20260102-030405-abcd\n"
        "Gitbatch-Group: 2 Letters\n"
        "Gitbatch-Plan: task.md\n"
        "Gitbatch-Reviewed: 1/1\n"
        f"Gitbatch-Review: approve 2 out/a.md {BLOB}\n"
        f"Gitbatch-Review: revise 2 out/b.md {BLOB}\n"
    )
    assert parse_review_message(message_of(*decisions)) == decisions
    assert describe_decisions(decisions) == "approved out/a.md; sent back out/b.md (Say more. Two lines.)"


@pytest.mark.parametrize("output", ["out/a.md", "with space.md", 'quo"te.md', "x strong", "ünï.md"])
def test_a_chosen_agent_is_read_as_it_was_written(output: str) -> None:
    """With the item that it is for; on nothing that does not run again."""
    again = replace(decide(DecisionKind.RETRY, output, "Well."), agent="strong:1/x")
    found = parse_chosen_agent(render_chosen_agent(again))
    assert found == (again.item, again.agent)
    undone = decide(DecisionKind.UNDO, output)
    message = message_of(undone, again, decide(DecisionKind.APPROVE, "out/b.md"))
    assert f"retried    {quote_for_message(output)} by strong:1/x\n" in message
    assert parse_review_message(message)[:2] == (undone, again)
    assert parse_trailers(message.replace(" strong:1/x", " -x")).kind is None


def test_a_hostile_comment_decides_nothing() -> None:
    """It holds trailers, the head of another comment, scissors and escapes: all of it stays one comment."""
    decisions = (
        decide(DecisionKind.REVISE, comment=HOSTILE * 20),
        decide(DecisionKind.REJECT, "out/b.md", "no"),
    )
    message = message_of(*decisions)
    assert parse_review_message(message) == decisions
    assert parse_trailers(message).kind is Kind.REVIEW
    assert parse_trailers(message).batch == RECORD.batch
    comment = decisions[0].comment
    assert "    - [x] indented\nred bidi closes №12 (skip ci)\n\nGitbatch-Batch" in comment
    assert "\x1b" not in message


@given(st.lists(st.text(max_size=200), max_size=3))
def test_any_comment_comes_back(comments: list[str]) -> None:
    decisions = tuple(
        decide(DecisionKind.REVISE, f"out/{at}.md", comment) for at, comment in enumerate(comments, 1)
    )
    assert parse_review_message(message_of(*decisions)) == decisions


@given(st.text())
def test_cleaning_a_comment_twice_changes_nothing(text: str) -> None:
    once = clean_comment(text)
    assert clean_comment(once) == once


def test_a_long_comment_is_cut() -> None:
    assert len(clean_comment("x" * 2 * LONGEST_COMMENT)) == LONGEST_COMMENT
    assert len(clean_comment("x" * 10_000)) == 10_000


def test_only_a_review_has_decisions() -> None:
    assert parse_review_message("Write a\n\nGitbatch-Review: approve 1 a\n") == ()


DONE, FAILED = True, False


@pytest.mark.rule("F7")
@pytest.mark.parametrize(
    ("steps", "instruction"),
    [
        (((DecisionKind.REVISE, "Say more."),), "Say more."),
        (((DecisionKind.REVISE, "Say more."), FAILED, (DecisionKind.RETRY, "")), "Say more."),
        (
            ((DecisionKind.REVISE, "Say more."), FAILED, (DecisionKind.RETRY, "Now.")),
            "Say more.\n\nNow.",
        ),
        (((DecisionKind.RETRY, "Now."), FAILED, (DecisionKind.RETRY, "")), "Now."),
        (((DecisionKind.RETRY, "Now."), (DecisionKind.RETRY, "Later.")), "Later."),
        (((DecisionKind.RETRY, "Now."), (DecisionKind.REVISE, "Say more.")), "Say more."),
        (((DecisionKind.REVISE, "Say more."), DONE, (DecisionKind.RETRY, "")), ""),
        (((DecisionKind.REVISE, "Say more."), (DecisionKind.REJECT, "No."), (DecisionKind.RETRY, "")), ""),
        (((DecisionKind.REVISE, "Say more."), (DecisionKind.REVISE, "Say less.")), "Say less."),
        (((DecisionKind.REVISE, "Say more."), FAILED, (DecisionKind.APPROVE, "Well.")), "Say more."),
    ],
)
def test_what_a_person_said_counts_until_a_run_has_succeeded(
    steps: tuple[tuple[DecisionKind, str] | bool, ...], instruction: str
) -> None:
    """A retry after a revision that failed, by a crash or a limit, says it to the agent again."""
    standing = ItemStanding()
    for step in steps:
        if isinstance(step, bool):
            standing = standing.record("5" * 40, is_done=step)
        else:
            standing = standing.decide(decide(step[0], comment=step[1]), "6" * 40)
    assert standing.instruction == instruction
