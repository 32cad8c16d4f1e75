"""The status after a review."""

import pytest

from gitbatch.batch.group.review_files import list_review_rows
from gitbatch.batch.history.decisions import DecisionKind, ItemDecision, ItemName
from gitbatch.batch.model import MOST_OUTCOMES, BatchItem, ItemStatus, Outcome

MANY = MOST_OUTCOMES + 1


@pytest.mark.parametrize(
    ("form", "count", "is_short"), [(1, MANY, False), (2, MANY - 1, False), (2, MANY, True)]
)
def test_rows_of_many_items(form: int, count: int, *, is_short: bool) -> None:
    """Of a large group, only what failed or was sent back has one."""
    items = [BatchItem(f"{number}.md", f"T{number}", "", f"1-{number}", 1) for number in range(count)]
    outcomes = tuple(
        Outcome(item, ItemStatus.FAILED if item.name == "T3" else ItemStatus.SUCCEEDED) for item in items
    )
    decisions = tuple(
        ItemDecision(
            DecisionKind.REVISE if item.name == "T5" else DecisionKind.APPROVE, ItemName(1, item.output), None
        )
        for item in items[4:9]
    )
    rows = list_review_rows(form, outcomes, decisions)
    assert [row.item.name for row in rows] == (["T3", "T5"] if is_short else [item.name for item in items])
