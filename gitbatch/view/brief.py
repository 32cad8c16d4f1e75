"""The brief views: without what happens while items run (`--progress none`), or failures and errors only (`-q`)."""

from gitbatch.batch.events import (
    BatchFinished,
    BatchHalted,
    BatchPaused,
    BatchStopped,
    CheckpointReached,
    ConfigChanged,
    Event,
    Notice,
)
from gitbatch.view.page import Page
from gitbatch.view.plain import PlainView


class BriefView:
    """Prints checkpoints, notes and the end of the run."""

    def __init__(self, page: Page) -> None:
        self._plain = PlainView(page)

    def __call__(self, event: Event) -> None:
        """Shows an event, if it is one of those."""
        if self.shows_event(event):
            self._plain(event)

    def shows_event(self, event: Event) -> bool:
        """Returns true for what this view shows."""
        return isinstance(
            event,
            CheckpointReached
            | ConfigChanged
            | Notice
            | BatchPaused
            | BatchStopped
            | BatchHalted
            | BatchFinished,
        )

    def close(self) -> None:
        """Does nothing: this view redraws no part of the screen."""


class QuietView(BriefView):
    """Prints the end of a run that is not all well."""

    def shows_event(self, event: Event) -> bool:
        """Returns true for what this view shows."""
        if isinstance(event, BatchFinished):
            return event.failed > 0
        return isinstance(event, ConfigChanged | BatchStopped | BatchHalted)
