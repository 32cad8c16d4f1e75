"""The stream on which all that happens in a run comes to its listeners, in order."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from gitbatch.batch.events import Event, Listener


class EventStream:
    """Passes each event, with its time, to every listener, in order.

    A listener that can no longer write (a closed terminal, a full disk) is removed: it must not stop the run.
    """

    def __init__(
        self, clock: Callable[[], float], listeners: tuple[Listener, ...], log: Listener | None = None
    ) -> None:
        """Prepares the stream. `log`: a listener that gets each event at once, before the others."""
        self._clock = clock
        self._logs = [log] if log else []
        self._listeners = list(listeners)
        self._kept: list[Event] | None = None

    @contextmanager
    def hold_back(self) -> Iterator[None]:
        """Keeps events, with their times, until the end of the context; then the listeners get them. The log has them at once."""
        kept = self._kept = list[Event]()
        try:
            yield
        finally:
            self._kept = None
            for event in kept:
                _send_event(event, self._listeners)

    def __call__(self, event: Event) -> None:
        """Sends an event."""
        stamped = msgspec.structs.replace(event, at=round(self._clock(), 3))
        _send_event(stamped, self._logs)
        if self._kept is None:
            _send_event(stamped, self._listeners)
        else:
            self._kept.append(stamped)


def _send_event(event: Event, listeners: list[Listener]) -> None:
    for listener in tuple(listeners):
        try:
            listener(event)
        except OSError:
            listeners.remove(listener)
