"""An item that has a checkpoint, as a value: its status, and the decision of a person that stands about it."""

from msgspec import Struct

from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.text import CleanText

REOPENED = "reopened"


class ReviewItem(Struct, frozen=True):
    """An item that has a checkpoint."""

    group: int
    """The number of its group in the plan."""
    item: str
    """Its output."""
    name: str
    slug: str
    status: str
    """succeeded, failed, rejected, … as in a checkpoint; `reopened`: it runs again before the next group starts."""
    reason: CleanText
    """Why it did not succeed; empty if it did."""
    blob: str | None
    """What the branch has at its path: a decision is refused if that changes. null: nothing."""
    decision: DecisionKind | None
    """The decision that stands; null: none does, or the item has run again since."""
    comment: str
    review: str
    """The commit of that decision; empty if none stands."""
