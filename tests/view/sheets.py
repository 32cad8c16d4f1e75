"""Sheets of reviews, for the tests of the review screen."""

from msgspec.structs import replace

from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.batch.line_count import LineCount
from gitbatch.batch.model import BatchItem
from gitbatch.batch.review.item import ReviewItem
from gitbatch.batch.review.sheet import ReviewSheet, SheetItem
from gitbatch.limits.usage import Spent, Usage
from gitbatch.text import clean_text
from gitbatch.view.review_screen.keys import press_key
from gitbatch.view.review_screen.state import ReviewState, ScreenRequest, start_review

SPENT = Spent(Usage(requests=1, cost=0.0123))


def sheet_item(
    name: str,
    status: str = "succeeded",
    *,
    title: str = "Write a page",
    decision: DecisionKind | None = None,
    reason: str = "",
) -> SheetItem:
    item = BatchItem(f"out/{name}.md", name, title, f"1-{name.lower()}", 1)
    shown = ReviewItem(
        1, item.output, name, item.slug, status, clean_text(reason), "1" * 40, decision, "", "2" * 40
    )
    is_done = status == "succeeded"
    retry, approve = (
        {DecisionKind.RETRY: "it has succeeded: send it back"},
        {DecisionKind.APPROVE: f"it is {status}"},
    )
    return SheetItem(
        item,
        shown if is_done else replace(shown, blob=None),
        clean_text(title),
        retry if is_done else {**approve, **dict.fromkeys(PUT_BACK, "nothing of it is in history")},
        lines=LineCount(38, 0) if is_done else None,
        spent=SPENT,
    )


PUT_BACK = (DecisionKind.REVISE, DecisionKind.REJECT, DecisionKind.UNDO)
FAILED = sheet_item("T2", "failed", reason="exit code 3")
DONE = (sheet_item("T1"), sheet_item("T3"), sheet_item("T4"))
ITEMS = (FAILED, *DONE)
"""As a sheet orders them: the failure first."""


def review_of(*items: SheetItem, needs_all: bool = False) -> ReviewState:
    """Returns a review that begins, of items or of the usual four."""
    sheet = ReviewSheet(
        "b", "refs/heads/main", 1, 3, clean_text("Letters"), "5" * 40, 1, items or ITEMS, needs_all
    )
    return start_review(sheet, "continue with the next group")


def press_keys(state: ReviewState, *keys: str) -> tuple[ReviewState, ScreenRequest | None]:
    """Returns the state after keys, and what the last of them asks for."""
    request = None
    for key in keys:
        assert request is None
        state, request = press_key(state, key)
    return state, request


def chosen_of(state: ReviewState) -> dict[str, tuple[str, str]]:
    """Returns what is chosen, by the names of the items."""
    return {choice.item.name: (choice.kind, choice.comment) for choice in state.choices}
