"""The line view shows every kind of event."""

from io import StringIO

import pytest
from view.events import EVENTS, KINDS

from gitbatch.batch.events import Event
from gitbatch.view.page import PlainPage
from gitbatch.view.plain import PlainView

STARTED = next(event for event, _ in EVENTS if type(event).__name__ == "ItemStarted")


def test_there_is_an_event_of_each_kind() -> None:
    assert {type(event) for event, _ in EVENTS} == KINDS


@pytest.mark.parametrize(("event", "expected"), EVENTS, ids=lambda value: type(value).__name__)
def test_lines(event: Event, expected: str) -> None:
    stream = StringIO()
    view = PlainView(PlainPage(stream))
    view(STARTED)  # it gives the item its name
    before = len(stream.getvalue())
    view(event)
    view.close()
    assert stream.getvalue()[before:] == expected
