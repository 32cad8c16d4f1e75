"""The view for programs (`--json`): each event as one JSON object on a line."""

from gitbatch.batch.event_log import EventWriter


class JsonLines(EventWriter):
    """Writes each event as a line to a stream."""

    def close(self) -> None:
        """Does nothing: this view redraws no part of the screen."""
