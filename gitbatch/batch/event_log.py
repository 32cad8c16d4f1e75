"""Events written as JSON, one object a line: the log of a batch, and what `--json` prints."""

from pathlib import Path
from typing import IO

from gitbatch.batch.events import Event, encode_event
from gitbatch.batch.history.activity import LOG


class EventWriter:
    """Writes each event as a line to a stream."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Writes an event."""
        self._stream.write(encode_event(event) + "\n")
        self._stream.flush()


def open_log(own_dir: Path, batch: str) -> IO[str]:
    """Returns the log of a batch, open for appending. No decision is made from its contents."""
    folder = own_dir / batch
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / LOG).open("a", encoding="utf-8")
