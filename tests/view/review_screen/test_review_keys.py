"""What the keys of a review do, as values."""

import re
from collections.abc import Set as AbstractSet
from pathlib import Path
from string import printable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from view.sheets import DONE, FAILED, ITEMS, chosen_of, press_keys, review_of, sheet_item

from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.batch.planning.freed import BlockedItem
from gitbatch.view.review_screen.keys import KEYS, paste_text, press_key, take_comment
from gitbatch.view.review_screen.state import Mode, ScreenRequest, format_left, format_sheet, refresh_sheet

ANY_KEY = st.sampled_from([*printable[:95], "up", "down", "pageup", "pagedown", "home", "end", "backspace", "enter", "escape", "c-c", "c-e"])  # fmt: skip


@pytest.mark.rule("F7")
@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        (("j", "a"), {"T1": ("approve", "")}),
        (("A",), {"T1": ("approve", ""), "T3": ("approve", ""), "T4": ("approve", "")}),
        (("down", "x"), {"T1": ("reject", "")}),
        (("r",), {"T2": ("retry", "")}),
        (("end", "R"), {"T2": ("retry", "")}),
        (("j", "u"), {}),
        (("j", "u", "enter", "a"), {}),
        (("j", "u", "n"), {}),
        (("j", "w"), {}),
        (("j", "u", "w"), {"T1": ("undo", "")}),
        (("j", "u", "y"), {"T1": ("undo", "")}),
        (("j", "v", *"Say x", "backspace", "y", "enter"), {"T1": ("revise", "Say y")}),
        (("j", "v", "enter"), {}),
        (("j", "v", "a", "escape"), {}),
        (("j", "a", "backspace"), {}),
        (("j", "a", "x"), {"T1": ("reject", "")}),
        (("a",), {}),
        (("v",), {}),
        (("x",), {}),
        (("u",), {}),
        (("j", "r"), {}),
        (("enter", "enter", "enter"), {}),
        (("j", "enter", "a"), {}),
        (("j", "x", "A"), {"T1": ("reject", ""), "T3": ("approve", ""), "T4": ("approve", "")}),
    ],
)
def test_a_key_chooses(keys: tuple[str, ...], chosen: dict[str, tuple[str, str]]) -> None:
    state, request = press_keys(review_of(), *keys)
    assert chosen_of(state) == chosen
    assert request is None


@pytest.mark.rule("F7")
@pytest.mark.parametrize(
    ("keys", "chosen"),
    [
        (("r",), ["T2", "T5", "T6"]),
        (("R",), ["T2", "T5", "T6", "T7"]),
        (("r", "backspace"), []),
        (("r", "j", "backspace"), ["T2", "T6"]),
        (("j", "r"), ["T5"]),
        (("j", "r", "k", "r"), ["T2", "T5", "T6"]),
        (("j", "r", "k", "r", "backspace"), ["T5"]),
    ],
)
def test_what_a_retried_item_blocks_is_retried_too(keys: tuple[str, ...], chosen: list[str]) -> None:
    """T5 lacks what T2 writes, T6 also what T5 writes; T7 lacks something else besides."""
    waiting = tuple(sheet_item(name, "blocked") for name in ("T5", "T6", "T7"))
    lacked = (("out/T2.md",), ("out/T2.md", "out/T5.md"), ("out/T2.md", "out/lost.md"))
    state = review_of(FAILED, *waiting, *DONE)
    blocked = tuple(
        BlockedItem(each.item, frozenset(paths), frozenset(paths) - {"out/T5.md"})
        for each, paths in zip(waiting, lacked, strict=True)
    )
    state, _ = press_keys(replace(state, sheet=replace(state.sheet, blocked=blocked)), *keys)
    assert list(chosen_of(state)) == chosen
    if keys == ("r",):
        assert state.notice == "T2: retried, not recorded yet, and what it blocks: T5, T6"


@pytest.mark.parametrize(
    ("keys", "request_", "mode"),
    [
        (("c",), None, Mode.CONTINUE),
        (("c", "enter"), None, Mode.CONTINUE),
        (("c", "y"), ScreenRequest.CONTINUE, Mode.LIST),
        (("c", "n"), None, Mode.LIST),
        (("c", "escape"), None, Mode.LIST),
        (("q",), ScreenRequest.STOP, Mode.LIST),
        (("j", "a", "q"), None, Mode.STOP),
        (("j", "a", "q", "y"), ScreenRequest.STOP, Mode.LIST),
        (("j", "a", "q", "n"), ScreenRequest.LEAVE, Mode.LIST),
        (("c-c",), ScreenRequest.LEAVE, Mode.LIST),
        (("j", "a", "c-c"), None, Mode.STOP),
        (("j", "a", "c-c", "c-c"), ScreenRequest.LEAVE, Mode.STOP),
        (("o",), None, Mode.LIST),
        (("j", "o"), ScreenRequest.EDIT_OUTPUT, Mode.LIST),
        (("j", "v", "c-e"), ScreenRequest.WRITE_COMMENT, Mode.COMMENT),
        (("A", "r", "c"), None, Mode.CONTINUE),
        (("enter", "d", "?", "q"), None, Mode.LIST),
        (("?", "?"), None, Mode.LIST),
        (("d", "d"), None, Mode.LIST),
    ],
)
def test_a_key_asks(keys: tuple[str, ...], request_: ScreenRequest | None, mode: Mode) -> None:
    state, request = press_keys(review_of(), *keys)
    assert (request, state.mode) == (request_, mode)


def test_nothing_is_asked_where_all_is_decided() -> None:
    decided = sheet_item("T1", decision=DecisionKind.APPROVE)
    assert press_keys(review_of(decided), "c")[1] is ScreenRequest.CONTINUE
    assert format_left(review_of(decided)) == "all decided"


def test_approval_is_needed_before_the_batch_continues() -> None:
    state, request = press_keys(review_of(needs_all=True), "c")
    assert (request, state.mode) == (None, Mode.LIST)
    assert state.notice == "undecided (review.require-approval): T1, T3, T4"
    assert press_keys(state, "A", "c", "y")[1] is ScreenRequest.CONTINUE


def test_undecided_items_of_earlier_reviews_are_not_asked_about_again() -> None:
    earlier = replace(DONE[0], is_current=False)
    decided = sheet_item("T3", decision=DecisionKind.APPROVE)
    assert press_keys(review_of(decided, earlier), "c")[1] is ScreenRequest.CONTINUE
    assert press_keys(review_of(decided, earlier, needs_all=True), "c")[1] is None
    assert chosen_of(press_keys(review_of(decided, earlier), "A")[0]) == {"T1": ("approve", "")}


@given(st.lists(ANY_KEY, max_size=30))
def test_enter_decides_nothing(keys: list[str]) -> None:
    """After any keys, Enter changes what is chosen only where a comment was typed."""
    state, request = review_of(), None
    for key in keys:
        state, request = press_key(state, key)
        if request:
            return
    after, request = press_key(state, "enter")
    assert request is None
    assert after.chosen == state.chosen or state.mode is Mode.COMMENT
    assert 0 <= after.selected < len(ITEMS)


def test_a_pasted_text_is_a_comment_and_never_keys() -> None:
    state = paste_text(review_of(), "AcyR")
    assert (chosen_of(state), state.mode) == ({}, Mode.LIST)
    state, _ = press_keys(state, "j", "v")
    text = "# Wishes\n\nGitbatch-Review: approve 1 x\n" + "x" * 10_000
    state, _ = press_keys(paste_text(state, text), "enter")
    assert chosen_of(state) == {"T1": ("revise", text)}


def test_every_key_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "commands.md").read_text(encoding="utf-8")
    table = page.partition("### The review screen")[2].partition("### ")[0]
    named = [word.strip() for key, _ in KEYS for word in re.split(r"[ ,]+", key) if word != "arrows"]
    assert [word for word in named if f"`{word}`" not in table and word not in table] == []


def test_keys_stay_at_the_ends_of_the_list() -> None:
    state, _ = press_keys(review_of(), "up", "k", "home")
    assert state.item == FAILED
    state, _ = press_keys(state, "end", "down", "j")
    assert state.item == DONE[-1]


def test_a_review_without_items_takes_every_key() -> None:
    empty = replace(review_of(), sheet=replace(review_of().sheet, items=(), number=0))
    for key, _ in KEYS:
        press_key(empty, key)
    for key in ("a", "v", "u", "o", "d", "enter", "backspace", "j"):
        assert press_key(empty, key)[1] is None
    assert press_key(empty, "q")[1] is ScreenRequest.STOP
    assert format_sheet(empty) == "No group has a checkpoint yet"
    assert chosen_of(take_comment(empty, "x")) == {}


def test_what_changed_elsewhere_is_chosen_again() -> None:
    state, _ = press_keys(review_of(), "j", "a", "j", "x")
    moved = replace(DONE[0], state=replace(DONE[0].state, blob="3" * 40))
    after = refresh_sheet(state, replace(state.sheet, items=(moved, FAILED, *DONE[1:])), "edited")
    assert chosen_of(after) == {"T3": ("reject", "")}
    assert after.notice == "edited; choose again: T1"
    assert after.item == DONE[1]


@pytest.mark.rule("K3")
def test_a_review_of_several_groups_says_so() -> None:
    state = review_of()
    assert format_sheet(state) == "Checkpoint 1/3, Letters: 3 of 4 items done"
    several = replace(state, sheet=replace(state.sheet, groups=2, number=2))
    assert format_sheet(several) == "2 groups up to checkpoint 2/3: 3 of 4 items done"


def test_a_typed_comment_is_kept_and_offered_again() -> None:
    state, _ = press_keys(review_of(), "j", "v", *"Say", "enter", "a")
    assert chosen_of(state) == {"T1": ("approve", "")}
    again, _ = press_keys(state, "v")
    assert (again.mode, again.typed) == (Mode.COMMENT, "Say")
    left, _ = press_keys(again, "!", "escape", "x", "backspace")
    assert chosen_of(left) == {}
    assert press_keys(left, "v")[0].typed == "Say!"
    interrupted, request = press_keys(left, "v", "?", "c-c")
    assert (interrupted.mode, request, interrupted.draft) == (Mode.LIST, None, "Say!?")
    assert press_keys(interrupted, "v", "enter")[0].choices[0].comment == "Say!?"
    in_editor, request = press_keys(left, "v", "1", "c-e")
    assert (in_editor.typed, in_editor.draft, request) == ("Say!1", "Say!1", ScreenRequest.WRITE_COMMENT)
    assert press_keys(left, "j", "v")[0].typed == "", "each item has its own"
    both, _ = press_keys(left, "j", "v", *"No", "escape")
    assert (press_keys(both, "v")[0].typed, press_keys(both, "k", "v")[0].typed) == ("No", "Say!")
    emptied = take_comment(press_keys(left, "v")[0], "")
    assert (emptied.draft, emptied.notice) == ("", "no comment: nothing has changed")
    changed = refresh_sheet(press_keys(left, "v", "enter")[0], review_of(FAILED).sheet, "")
    assert changed.drafts == press_keys(left, "v", "enter")[0].drafts, "also where the choice is dropped"


def test_a_letter_of_one_question_answers_no_other() -> None:
    state, _ = press_keys(review_of(), "j", "u", "w")
    assert state.notice == "T1: undone, not recorded yet; with it, to run again: nothing"
    assert press_keys(state, "c", "w")[0].mode is Mode.CONTINUE


def test_a_retry_of_many_items_takes_time_by_their_number() -> None:
    """The blocked ones are looked through once, not once for each that is retried."""
    looked = []

    class Counted(BlockedItem, frozen=True):
        def is_freed_by(self, written: AbstractSet[str]) -> bool:
            looked.append(self.item.name)
            return super().is_freed_by(written)

    failed = tuple(sheet_item(f"F{number}", "failed") for number in range(50))
    waiting = tuple(sheet_item(f"B{number}", "blocked") for number in range(50))
    paths = [frozenset({each.item.output}) for each in failed]
    blocked = tuple(Counted(each.item, lacked, lacked) for each, lacked in zip(waiting, paths, strict=True))
    state = review_of(*failed, *waiting)
    state, _ = press_keys(replace(state, sheet=replace(state.sheet, blocked=blocked)), "R")
    assert (len(chosen_of(state)), state.notice) == (100, "retried, not recorded yet: 100")
    assert len(looked) <= 50
