"""Server-sent events, from the bytes of an answer as they come. Each byte is looked at a fixed number of times.

Follows https://html.spec.whatwg.org/multipage/server-sent-events.html; only event names and data are kept. It is our
own because the library skips events without a name, and gives no reason for what it cannot read.
"""

from msgspec import Struct

_LONGEST = 16 * 1024 * 1024
"""Bytes of a line."""


class BadStreamError(ValueError):
    """The stream is not a sequence of events; the text says why, for people."""


class ServerEvent(Struct, frozen=True):
    """One event. `name`: empty if the server gives none."""

    name: str
    data: str


class EventReader:
    """Turns bytes, in pieces of any size, into events."""

    def __init__(self) -> None:
        self._pending: list[bytes] = []
        """The start of a line that has not ended."""
        self._size = 0
        self._name = ""
        self._data: list[str] = []

    def feed_bytes(self, chunk: bytes) -> list[ServerEvent]:
        """Returns the events that end in a further piece.

        Raises:
            BadStreamError: the bytes are not text, or a line is too long.
        """
        # A carriage return at the very end may be the first half of a line's end.
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r", 0, -1)) + 1
        if not end:
            self._keep_pending(chunk)
            return []
        lines = b"".join((*self._pending, chunk[:end])).splitlines()
        self._pending, self._size = [], 0
        self._keep_pending(chunk[end:])
        return [event for event in map(self._read_line, lines) if event]

    def _keep_pending(self, piece: bytes) -> None:
        self._pending.append(piece)
        self._size += len(piece)
        if self._size > _LONGEST:
            raise BadStreamError(f"it has a line of more than {_LONGEST:,} bytes")

    def _read_line(self, line: bytes) -> ServerEvent | None:
        """Reads a line; an empty one ends an event."""
        if not line:
            event = ServerEvent(self._name, "\n".join(self._data)) if self._name or self._data else None
            self._name, self._data = "", []
            return event
        name, _, value = line.partition(b":")
        if name in {b"event", b"data"}:
            try:
                text = value.removeprefix(b" ").decode()
            except UnicodeDecodeError:
                raise BadStreamError("it has bytes that are not UTF-8") from None
            if name == b"event":
                self._name = text
            else:
                self._data.append(text)
        return None
