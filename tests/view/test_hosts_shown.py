"""Where an item runs: in the live view, and in the status."""

from pathlib import Path

from msgspec.structs import replace
from view.events import EVENTS, ITEM
from view.test_batch_state import LEFT, STATE, head_and_rows
from view.test_early_items_shown import STARTED, follow
from view.test_screen import NOW, drawn

from gitbatch.batch.event_log import open_log
from gitbatch.batch.events import ItemQueued, ItemSent, encode_event
from gitbatch.batch.history.activity import read_activity
from gitbatch.batch.history.item_log import LogKind, read_item_log
from gitbatch.repo.holder import Holder
from gitbatch.view.batch_state import add_activity

SENT = next(event for event, _ in EVENTS if isinstance(event, ItemSent))
QUEUED = next(event for event, _ in EVENTS if isinstance(event, ItemQueued))


def test_row_of_an_item_names_its_machine() -> None:
    here = follow(replace(STARTED, at=NOW))
    assert "on far" not in drawn(here)[1]
    there = follow(replace(STARTED, at=NOW), SENT)
    assert there.running[ITEM.key].host == "far"
    assert "on far" in drawn(there)[1]


def test_status_names_the_machine_of_a_running_item(tmp_path: Path) -> None:
    with open_log(tmp_path, "b") as log:
        log.write(f"{encode_event(replace(STARTED, slug=LEFT.slug))}\n")
        log.write(f"{encode_event(replace(SENT, slug=LEFT.slug))}\n")
    shown = add_activity(STATE, Holder("/r", 1, "u", "h", 0.0), read_activity(tmp_path, "b", 0.0))
    assert shown.items[1].host == "far"
    assert " on far" in str(head_and_rows(replace(shown, process=None))[1][1])


def test_item_without_a_slot_waits(tmp_path: Path) -> None:
    """In the live view, the status and its log; once it is sent, it runs."""
    queued = follow(replace(STARTED, at=NOW), QUEUED)
    assert "waits for a slot of a worker" in drawn(queued)[1]
    sent = follow(replace(STARTED, at=NOW), QUEUED, SENT)
    assert "waits" not in drawn(sent)[1]
    holder = Holder("/r", 1, "u", "h", 0.0)
    for number, (events, status, reason) in enumerate(
        (
            ((STARTED, QUEUED), "waiting", "waits for a slot of a worker"),
            ((STARTED, QUEUED, SENT), "running", ""),
            ((STARTED, SENT, QUEUED), "waiting", "waits for a slot of a worker"),
        )
    ):
        with open_log(tmp_path, f"b{number}") as log:
            for event in events:
                log.write(f"{encode_event(replace(event, slug=LEFT.slug))}\n")
        shown = add_activity(STATE, holder, read_activity(tmp_path, f"b{number}", 0.0))
        assert (shown.items[1].status, shown.items[1].reason) == (status, reason)
    kinds = [(line.kind, line.text) for line in read_item_log(tmp_path, "b0", LEFT.slug)]
    assert kinds[1:] == [(LogKind.WAIT, "waits for a slot of a worker")]
