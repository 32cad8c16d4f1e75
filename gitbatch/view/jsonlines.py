"""Events as JSON, one object a line: for programs (`--json`) and for the log of a batch."""

from pathlib import Path
from typing import IO

from gitbatch.batch.events import Event, encode_event


class JsonLines:
    """Writes each event as a line to a stream."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def __call__(self, event: Event) -> None:
        """Write an event."""
        self._stream.write(encode_event(event) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing moves on the screen here."""


def open_log(own_dir: Path, batch: str) -> IO[str]:
    """The log of a batch, open for appending. Nothing reads it to decide anything."""
    folder = own_dir / batch
    folder.mkdir(parents=True, exist_ok=True)
    return (folder / "events.jsonl").open("a", encoding="utf-8")
