"""The output of `gitbatch rescue --json`."""

from gitbatch.batch.history.rescued_files import RescuedFile
from gitbatch.view.envelope import Envelope


class RescueOutput(Envelope, frozen=True):
    """What rescue refs keep, the oldest batch first; or the file that was written to the checkout."""

    files: tuple[RescuedFile, ...] = ()
    taken: RescuedFile | None = None
    """The file that `take` has written; null for a list."""
