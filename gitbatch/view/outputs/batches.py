"""The output of `gitbatch batches --json`."""

from gitbatch.batch.history.batches import BatchSummary
from gitbatch.view.envelope import Envelope


class BatchesOutput(Envelope, frozen=True):
    """All batches that git knows, the oldest first."""

    batches: tuple[BatchSummary, ...]
    running: str | None = None
    """The id of the batch that a process runs; null if none runs."""
