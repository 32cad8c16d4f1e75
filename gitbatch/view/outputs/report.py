"""The output of `gitbatch report --json`."""

from gitbatch.view.envelope import Envelope


class ReportOutput(Envelope, frozen=True):
    """A report that was written."""

    batch: str
    file: str
    """The path of the page."""
    bytes: int
    """Its size."""
