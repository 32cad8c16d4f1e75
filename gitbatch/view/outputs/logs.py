"""The last line of `gitbatch logs --json`, after the lines of the log."""

from gitbatch.view.envelope import Envelope


class LogsOutput(Envelope, frozen=True):
    """The item whose log was printed: it is the line that has no `kind`."""

    batch: str
    item: str
    """Its output."""
    lines: int
    """How many lines of the log were printed before."""
