"""The one reader of lines of JSON: parses each line that a program prints, and keeps what decides its outcome.

A format is a subclass: the type of its events, and what each of them shows and means. Only what is used is parsed. A
line that is not an object, or whose fields have other types, is dropped, because formats change with the versions.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from gitbatch.agents.json_lines.verdict import Verdict
from gitbatch.agents.json_text import replace_lone_surrogates
from gitbatch.agents.process.watch import ShownLine
from gitbatch.agents.protocol import OutputStream
from gitbatch.limits.usage import Usage
from gitbatch.text import CleanText, clean_text

E = TypeVar("E")
"""The type of the events of a format."""

_KEPT_LINES = 20


def decode_line(decoder: msgspec.json.Decoder[E], line: str) -> E | None:
    """Decodes a line; returns None if it is not an event."""
    if not line.lstrip().startswith("{"):
        return None
    try:
        return decoder.decode(replace_lone_surrogates(line.encode(errors="replace")))
    except (msgspec.DecodeError, RecursionError):
        return None


class JsonLinesReader(ABC, Generic[E]):
    """The events of one attempt, as they come."""

    def __init__(self, decoder: msgspec.json.Decoder[E]) -> None:
        self.has_started = False
        """Whether an event has come: the program prints this format."""
        self.is_complete = False
        """Whether the event has come that ends an attempt."""
        self.retry_after: float | None = None
        """Seconds that a busy server asked to wait; None: unknown."""
        self._decoder = decoder
        self._unread: deque[CleanText] = deque(maxlen=_KEPT_LINES)

    @property
    def unread_lines(self) -> tuple[CleanText, ...]:
        """The last lines of standard output that are not JSON."""
        return tuple(self._unread)

    @property
    def has_finished(self) -> bool:
        """Whether nothing is to come: if the program does not end soon after that, it is ended."""
        return self.is_complete

    @property
    def denials(self) -> tuple[CleanText, ...]:
        """The calls that were not allowed, a line for each."""
        return ()

    @property
    @abstractmethod
    def summary(self) -> str:
        """The last words of the model."""

    @property
    @abstractmethod
    def usage(self) -> Usage:
        """What was reported so far; empty if nothing was."""

    @abstractmethod
    def take_event(self, event: E) -> ShownLine | None:
        """Returns how an event is shown, and keeps what it says; None: it is not shown."""

    @abstractmethod
    def judge_exit(self, status: int, errors: Sequence[str]) -> Verdict | None:
        """Returns why the attempt failed; None if no event says that it did.

        Args:
            status: the exit code of the program.
            errors: the last lines of standard error.
        """

    def take_line(self, stream: OutputStream, line: str) -> ShownLine | None:
        """Does the same with a line; what is not standard output is shown as it is."""
        if stream is not OutputStream.OUTPUT:
            return ShownLine(stream, line)
        event = decode_line(self._decoder, line)
        if event is None:
            if not line.lstrip().startswith("{"):
                self._unread.append(clean_text(line))
            return None
        self.has_started = True
        return self.take_event(event)
