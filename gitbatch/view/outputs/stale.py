"""The output of `gitbatch status --stale --json`."""

from gitbatch.batch.history.reads import StaleItem
from gitbatch.view.envelope import Envelope


class StaleOutput(Envelope, frozen=True):
    """The items of a batch that were written from other versions of files than its branch has by now."""

    batch: str
    stale: tuple[StaleItem, ...]
    """In the order of the plan."""
