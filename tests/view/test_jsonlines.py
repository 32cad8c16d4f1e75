"""The view for programs: each event as one line that can be read again."""

from io import StringIO

import msgspec
import pytest
from view.events import EVENTS

from gitbatch.batch.events import Event
from gitbatch.view.jsonlines import JsonLines


@pytest.mark.parametrize("event", [event for event, _ in EVENTS], ids=lambda event: type(event).__name__)
def test_round_trip(event: Event) -> None:
    stream = StringIO()
    view = JsonLines(stream)
    view(event)
    view.close()
    (line,) = stream.getvalue().splitlines()
    assert msgspec.json.decode(line, type=Event) == event
