"""The output of `gitbatch review --json`, `gitbatch retry --json` and `gitbatch undo --json`."""

from gitbatch.batch.review.item import ReviewItem
from gitbatch.view.envelope import Envelope


class ReviewOutput(Envelope, frozen=True):
    """The items of a batch that have a checkpoint, and the review that was recorded, if any."""

    batch: str
    items: tuple[ReviewItem, ...]
    """As they are now, in the order of the plan."""
    commit: str | None = None
    """The review that this command recorded; null for a list."""
    notes: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    """Paths at which the checkout keeps the user's own version."""
