"""The event stream: what happens while a prompt has the terminal is shown after it, in order, with its own time."""

from contextlib import suppress
from itertools import count

from gitbatch.batch.event_stream import EventStream
from gitbatch.batch.events import Event, Notice


def test_nothing_is_sent_while_a_prompt_is_up() -> None:
    seen: list[Event] = []
    clock = count(1)
    emit = EventStream(lambda: next(clock), (seen.append,))
    emit(Notice(batch="b", text="before"))
    with emit.hold_back():
        emit(Notice(batch="b", text="one"))
        emit(Notice(batch="b", text="two"))
        assert len(seen) == 1
    with suppress(KeyboardInterrupt), emit.hold_back():
        emit(Notice(batch="b", text="three"))
        raise KeyboardInterrupt
    emit(Notice(batch="b", text="after"))
    texts = [event.text for event in seen if isinstance(event, Notice)]
    assert texts == ["before", "one", "two", "three", "after"]
    assert [event.at for event in seen] == [1, 2, 3, 4, 5]
