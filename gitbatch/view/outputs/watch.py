"""The last line of `gitbatch watch --json`, after the events."""

from gitbatch.view.envelope import Envelope


class WatchOutput(Envelope, frozen=True):
    """The run that was watched: it is the line that has no `event`.

    `ok` is true if the run succeeded, or if its result was not asked for with `--exit-status`.
    """

    batch: str
    code: int
    """The exit code of the run; 1 if it was interrupted or killed."""
