"""The stream of events: listeners get them in order; what is kept back comes with the time at which it happened."""

from gitbatch.batch.event_stream import EventStream
from gitbatch.batch.events import Event, Notice


def test_events_are_kept_back_for_a_while() -> None:
    heard: list[Event] = []
    logged: list[Event] = []
    times = iter((1.0, 2.0, 3.0))
    emit = EventStream(lambda: next(times), (heard.append,), logged.append)
    emit(Notice(batch="b", text="one"))
    with emit.hold_back():
        emit(Notice(batch="b", text="two"))
        assert (len(heard), len(logged)) == (1, 2), "the log has all of them at once"
    emit(Notice(batch="b", text="three"))
    assert [(event.at, event.text) for event in heard if isinstance(event, Notice)] == [
        (1.0, "one"),
        (2.0, "two"),
        (3.0, "three"),
    ]
    assert logged == heard


def test_a_listener_that_cannot_write_is_removed() -> None:
    calls: list[Event] = []

    def fail(event: Event) -> None:
        calls.append(event)
        raise BrokenPipeError

    emit = EventStream(lambda: 0.0, (fail,))
    emit(Notice(batch="b", text="one"))
    emit(Notice(batch="b", text="two"))
    assert len(calls) == 1
