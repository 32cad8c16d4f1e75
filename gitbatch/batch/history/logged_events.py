"""The events of a running batch, read from its log: for a view in another terminal.

A process without a sandbox can write the log, so each line may be anything, and every text in it is cleaned.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from gitbatch.batch.events import EndEvent, Event
from gitbatch.batch.history.item_log import LogFile
from gitbatch.batch.model import ItemCommit
from gitbatch.text import clean_lines, clean_text

_START = b"batch-started"
_LONGEST = 2000
"""Characters of a text."""
_SEVERAL_LINES = frozenset({"advice", "text"})
"""The fields of events that may have several lines."""


def decode_event(line: bytes) -> Event | None:
    """Returns the event that a line of a log is, with its texts cleaned; None if this version does not know it."""
    with suppress(msgspec.DecodeError, RecursionError):  # ValidationError is one
        cleaned = _clean_value(msgspec.json.decode(line))
        event: Event = msgspec.convert(cleaned, type=Event, dec_hook=_read_commit)
        return event
    return None


def _clean_value(value: Any, name: str = "") -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, str):
        return (
            clean_lines(value, _LONGEST)
            if name in _SEVERAL_LINES and "\n" in value
            else clean_text(value, _LONGEST)
        )
    if isinstance(value, list):
        return [_clean_value(each) for each in value]
    return {key: _clean_value(each, key) for key, each in value.items()} if isinstance(value, dict) else value


def _read_commit(_: type, value: str) -> ItemCommit:
    """Returns an item's commit, of which the log has the id alone."""
    return ItemCommit(value, "", (), "")


def follow_events(
    own_dir: Path, batch: str, since: float, is_running: Callable[[], bool], wait: Callable[[], None]
) -> Iterator[Event]:
    """Yields the events of a run as they come, from its start, until it has ended or its process is gone.

    Args:
        own_dir: gitbatch's own folder in the repository.
        batch: the id of the batch.
        since: when the process started that runs it, in seconds since the epoch: earlier events are those of other runs.
        is_running: whether the process still runs it.
        wait: waits for a moment.
    """
    log = LogFile(own_dir, batch)
    log.skip_to_last(_START)
    while True:
        will_end = not is_running()  # before the reading: nothing that it wrote is missed
        for line in log.read_lines():
            event = decode_event(line)
            if event is None or event.at < since:
                continue
            yield event
            if isinstance(event, EndEvent):
                return
        if will_end:
            return
        wait()


def find_last_end(own_dir: Path, batch: str) -> EndEvent | None:
    """Returns the event with which the last run of a batch ended; None if it was killed, or if the log is gone."""
    log = LogFile(own_dir, batch)
    log.skip_to_last(_START)
    events = [event for line in log.read_lines() if (event := decode_event(line))]
    return next((event for event in reversed(events) if isinstance(event, EndEvent)), None)
