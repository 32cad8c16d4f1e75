"""A review in lines: what each line does, as values, and that it is what the keys do."""

import pytest
from msgspec.structs import replace
from view.sheets import DONE, chosen_of, review_of, sheet_item

from gitbatch.view.block import Block, StyledLine, TextTable, make_line, plain_text
from gitbatch.view.review_screen.commands import (
    LINES,
    LineAnswer,
    follow_line,
    list_notices,
    render_lines,
    render_overview,
    render_prompt,
)
from gitbatch.view.review_screen.state import Mode, ReviewState, ScreenRequest


def read(state: ReviewState) -> Block:
    """What is read of an item: which one, and in which mode."""
    assert state.item
    return (make_line(f"{state.mode} of {state.item.item.name}"),)


def follow(*lines: str, state: ReviewState | None = None) -> LineAnswer:
    """Returns what lines do, one after the other."""
    answer = LineAnswer(state or review_of())
    for line in lines:
        assert answer.request is None
        answer = follow_line(answer.state, line, read)
    return answer


def text_of(block: Block) -> str:
    """Returns a block as text."""
    rows = (
        [part.parts] if isinstance(part, StyledLine) else [sum(row, ()) for row in part.rows]
        for part in block
    )
    return "\n".join(plain_text(parts) for group in rows for parts in group)


@pytest.mark.rule("F7")
@pytest.mark.parametrize(
    ("lines", "chosen"),
    [
        (("a T1 t3",), {"T1": ("approve", ""), "T3": ("approve", "")}),
        (("a T1", "b T1"), {}),
        (("A",), {"T1": ("approve", ""), "T3": ("approve", ""), "T4": ("approve", "")}),
        (("x out/T1.md",), {"T1": ("reject", "")}),
        (("r T2",), {"T2": ("retry", "")}),
        (("R",), {"T2": ("retry", "")}),
        (("v T1 Say more: a, b.",), {"T1": ("revise", "Say more: a, b.")}),
        (("v T1", "Later."), {"T1": ("revise", "Later.")}),
        (("v T1", "."), {}),
        (("v T1 \x07\u200b",), {}),
        (("u T1", "y"), {"T1": ("undo", "")}),
        (("u T1", ""), {}),
        (("u T1", "no"), {}),
        (("", " ", "a"), {}),
        (("a T9",), {}),
        (("a T1 T9",), {}),
        (("y", "yes"), {}),
    ],
)
def test_a_line_chooses(lines: tuple[str, ...], chosen: dict[str, tuple[str, str]]) -> None:
    answer = follow(*lines)
    assert chosen_of(answer.state) == chosen
    assert answer.request is None


@pytest.mark.rule("F7")
def test_a_line_about_a_path_of_several_items_chooses_none() -> None:
    """Groups may write one file: it names its items, each of which is chosen by the group before the path."""
    first, second = sheet_item("T1"), sheet_item("T1", title="Improve it")
    later = replace(second.item, slug="2-t9", name="T9", group=2)
    state = review_of(first, replace(second, item=later))
    for line in ("x out/T1.md", "a T1 out/T1.md", "o out/T1.md"):
        answer = follow(line, state=state)
        assert (chosen_of(answer.state), answer.request) == ({}, None)
        assert answer.state.notice == "out/T1.md names several items: 1-t1, 2-t9"
    assert chosen_of(follow("x 2:out/T1.md", state=state).state) == {"T9": ("reject", "")}


@pytest.mark.parametrize(
    ("lines", "request_", "mode"),
    [
        (("c",), None, Mode.CONTINUE),
        (("c", ""), None, Mode.CONTINUE),
        (("c", "yes"), ScreenRequest.CONTINUE, Mode.LIST),
        (("c", "what"), None, Mode.LIST),
        (("q",), ScreenRequest.STOP, Mode.LIST),
        (("a T1", "q", "n"), ScreenRequest.LEAVE, Mode.LIST),
        (("a T1", "q", "y"), ScreenRequest.STOP, Mode.LIST),
        (("v T1", ""), ScreenRequest.WRITE_COMMENT, Mode.COMMENT),
        (("o T1",), ScreenRequest.EDIT_OUTPUT, Mode.LIST),
        (("o T2",), None, Mode.LIST),
        (("D",), ScreenRequest.SHOW_ALL, Mode.LIST),
    ],
)
def test_a_line_asks(lines: tuple[str, ...], request_: ScreenRequest | None, mode: Mode) -> None:
    answer = follow(*lines)
    assert (answer.request, answer.state.mode) == (request_, mode)


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("s T1", "list of T1"),
        ("f T1", "page of T1"),
        ("d T1", "diff of T1"),
        ("?", "v ITEM TEXT"),
        ("l", "Checkpoint 1/3, Letters: 3 of 4 items done"),
        ("c", "undecided: T1, T3, T4"),
    ],
)
def test_a_line_shows(line: str, shown: str) -> None:
    answer = follow(line)
    assert shown in text_of(answer.shown)
    assert answer.state.mode in {Mode.LIST, Mode.CONTINUE}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a T9", ["no item is called T9"]),
        ("a", ["name an item: a ITEM"]),
        ("d", ["name an item: d ITEM"]),
        ("s T9", ["no item is called T9"]),
        ("zz \x1b[2J", ["unknown: zz; ? lists the answers"]),
        ("cc", ["unknown: cc; ? lists the answers"]),
        ("a T2 T1", ["T2 cannot be approved: it is failed", "T1: approved, not recorded yet"]),
    ],
)
def test_a_mistake_is_named(line: str, said: list[str]) -> None:
    assert list(list_notices(follow(line).state)) == said


def test_the_only_item_need_not_be_named() -> None:
    assert chosen_of(follow("a", state=review_of(DONE[0])).state) == {"T1": ("approve", "")}


def test_the_overview_has_a_line_for_each_item() -> None:
    text = text_of(render_overview(review_of()))
    assert "T2failed-$0.0123exit code 3" in text
    assert text.endswith("3 undecided, 1 failed")
    many = render_overview(review_of(*(sheet_item(f"T{n}") for n in range(30))))
    assert "and 10 more items; l lists all" in text_of(many)
    assert (
        text_of(render_overview(replace(review_of(), sheet=replace(review_of().sheet, items=())))).count("\n")
        == 1
    )


def test_each_question_says_how_it_is_answered() -> None:
    assert render_prompt(review_of()) == "Review (c continue with the next group, q stop here, ? what else): "
    assert render_prompt(follow("v T1").state) == "Comment for T1 (empty: in your editor; a dot: nothing): "
    assert render_prompt(follow("u T1").state).endswith("also what was written from it) ")
    assert len(render_lines()) == len(LINES)
    assert isinstance(render_overview(review_of())[1], TextTable)


def test_a_typed_comment_is_offered_again_in_lines() -> None:
    state = follow("v T1 Say more.", "a T1", "v T1")
    assert [plain_text(line.parts) for line in state.shown if isinstance(line, StyledLine)] == [
        "typed before: Say more."
    ]
    assert render_prompt(state.state).startswith("Comment for T1 (empty: that one in your editor;")
    assert follow("v T1 Say more.", "a T1", "v T1", "").state.typed == "Say more.", "as the editor begins"
    assert chosen_of(follow("v T1 Say more.", "a T1", "v T1", ".").state) == {"T1": ("approve", "")}
