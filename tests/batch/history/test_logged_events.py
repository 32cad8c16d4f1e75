"""The events of a log, as a view in another terminal gets them."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace
from view.events import EVENTS

from gitbatch.batch.event_log import open_log
from gitbatch.batch.events import BatchFinished, BatchStarted, Event, ItemProgress, Notice, encode_event
from gitbatch.batch.history.logged_events import decode_event, find_last_end, follow_events

BATCH = "20261127-120000-0000"
SHOWN = {type(event): event for event, _ in EVENTS}
STARTED, PROGRESS, FINISHED = SHOWN[BatchStarted], SHOWN[ItemProgress], SHOWN[BatchFinished]


def write(folder: Path, *events: Event) -> None:
    with open_log(folder, BATCH) as log:
        log.write("".join(f"{encode_event(event)}\n" for event in events))


@pytest.mark.parametrize("event", [event for event, _ in EVENTS], ids=lambda event: type(event).__name__)
def test_every_event_is_read(event: Event) -> None:
    found = decode_event(encode_event(event).encode())
    assert found is not None
    assert json.loads(encode_event(found)) == json.loads(encode_event(event))


def test_text_is_harmless() -> None:
    evil = replace(PROGRESS, line="\x1b[2Ja\nb")
    assert decode_event(encode_event(evil).encode()) == replace(PROGRESS, line="a b")
    notice = Notice(batch="b", text="one\n\x1b]0;t\x07two")
    assert decode_event(encode_event(notice).encode()) == replace(notice, text="one\ntwo")


@pytest.mark.parametrize(
    "line",
    [b"", b"x", b"[]", b'{"event":"of-another-version"}', b'{"event":"notice","batch":1}', b"[" * 100_000],
    ids=lambda line: line[:20].decode(),
)
def test_what_is_no_event(line: bytes) -> None:
    assert decode_event(line) is None


def test_follows_to_the_end(tmp_path: Path) -> None:
    """From the start of this run on: what other runs of the batch did is left out."""
    before = (replace(STARTED, at=1.0), replace(FINISHED, at=2.0))
    write(tmp_path, *before)
    to_come = [(), (replace(STARTED, at=10.0), replace(PROGRESS, at=11.0)), (replace(FINISHED, at=12.0),)]
    running = [True] * 9

    def wait() -> None:
        write(tmp_path, *to_come.pop(0))

    found = list(follow_events(tmp_path, BATCH, 9.0, running.pop, wait))
    assert [event.at for event in found] == [10.0, 11.0, 12.0]
    assert find_last_end(tmp_path, BATCH) == found[-1]


def test_run_that_was_killed(tmp_path: Path) -> None:
    write(tmp_path, replace(FINISHED, at=8.0), replace(STARTED, at=10.0))
    running = [False, True]
    found = follow_events(
        tmp_path, BATCH, 9.0, running.pop, lambda: write(tmp_path, replace(PROGRESS, at=11.0))
    )
    assert [event.at for event in found] == [10.0, 11.0]
    assert running == []
    assert find_last_end(tmp_path, BATCH) is None
    assert find_last_end(tmp_path, "20261127-120000-ffff") is None
