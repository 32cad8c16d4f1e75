"""The output of `gitbatch abort --json`."""

from gitbatch.view.envelope import Envelope


class AbortOutput(Envelope, frozen=True):
    """A batch that was ended before it was complete, or with `--dry-run` would be."""

    batch: str
    merged: int | None
    """The number of items that are in the target branch, and stay there; null: the batch's record is unreadable."""
    kept: tuple[str, ...]
    """The names of the finished items that were not merged."""
    lost: tuple[str, ...]
    """The names of the items that did not finish."""
    refs: tuple[str, ...]
    """The refs that keep the finished items, and the unchecked outputs."""
    unchecked: tuple[str, ...] = ()
    """The names of those that did not finish and whose output waits for its checks: it is kept."""
    dry_run: bool = False
