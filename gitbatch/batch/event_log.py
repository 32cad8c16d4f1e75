"""Events written as JSON, one object a line: the log of a batch, and what `--json` prints."""

from collections.abc import Iterator
from contextlib import contextmanager
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


class BatchLog:
    """The log of a batch as a listener. It is written only while it is open: while this process holds the lock."""

    def __init__(self) -> None:
        self._writer: EventWriter | None = None

    def __call__(self, event: Event) -> None:
        """Writes an event if the log is open."""
        if self._writer:
            self._writer(event)

    @contextmanager
    def open(self, own_dir: Path, batch: str) -> Iterator[None]:
        """Opens the log of a batch for appending."""
        with open_log(own_dir, batch) as stream:
            self._writer = EventWriter(stream)
            try:
                yield
            finally:
                self._writer = None


def open_log(own_dir: Path, batch: str) -> IO[str]:
    """Returns the log of a batch, open for appending. No decision is made from its contents."""
    folder = own_dir / batch
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / LOG).open("a", encoding="utf-8")
