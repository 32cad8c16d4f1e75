"""The items of a batch with what was decided about them, for people."""

from gitbatch.batch.model import ItemStatus
from gitbatch.batch.review.item import REOPENED, ReviewItem
from gitbatch.paths import quote_path
from gitbatch.text import clean_text, format_count
from gitbatch.view.block import Block, Cell, TextTable, make_line

_SHOWN = 60
"""Characters of a comment or a reason."""


def render_review_items(items: tuple[ReviewItem, ...]) -> Block:
    """Returns the items that have a checkpoint: a line for each, and how many are undecided."""
    if not items:
        return (make_line("no item has a checkpoint yet"),)
    left = sum(item.decision is None for item in items)
    count = f"{format_count(left, 'item')} undecided" if left else "every item is decided"
    return (TextTable(tuple(map(_item_row, items)), is_cut=True), make_line((count, "dim")))


def _item_row(item: ReviewItem) -> tuple[Cell, ...]:
    style = {ItemStatus.SUCCEEDED: "green", REOPENED: "yellow"}.get(item.status, "red")
    decision = item.decision.word if item.decision else "undecided"
    said = clean_text(item.comment or item.reason, _SHOWN)
    path = quote_path(item.item)
    where = (path, "cyan") if path != item.name else ""
    return (item.name,), ((item.status, style),), (decision,), (where, f"  {said}" if said else "")
