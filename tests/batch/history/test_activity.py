"""What a batch does at this moment, from the log of its events."""

from pathlib import Path

import pytest
from msgspec.structs import replace
from view.events import BROKE, EVENTS, ITEM, WROTE

from gitbatch.batch.events import (
    AttemptFailed,
    BatchStarted,
    BatchWaiting,
    CheckpointReached,
    ConfigChanged,
    Event,
    GateStarted,
    GroupStarted,
    ItemCharged,
    ItemFinished,
    ItemProgress,
    ItemSent,
    ItemStarted,
    ItemWaiting,
    encode_event,
)
from gitbatch.batch.history.activity import (
    LOG,
    BatchActivity,
    BatchPause,
    ItemActivity,
    ItemPhase,
    find_last_hosts,
    read_activity,
)
from gitbatch.batch.model import ItemStatus
from gitbatch.plan.model import ItemKey
from gitbatch.text import clean_text

KEY = ITEM.key
SHOWN = {type(event): event for event, _ in EVENTS}
STARTED, PROGRESS = SHOWN[ItemStarted], SHOWN[ItemProgress]


def activity_after(
    folder: Path, *events: Event, more: bytes = b"", since: float = 0.0
) -> ItemActivity | None:
    """Returns what the item does after events, one a second."""
    (folder / "b").mkdir(exist_ok=True)
    lines = (
        encode_event(replace(event, at=float(at))).encode() + b"\n" for at, event in enumerate(events, 1)
    )
    (folder / "b" / LOG).write_bytes(b"".join(lines) + more)
    return read_activity(folder, "b", since).items.get(KEY)


def test_a_running_attempt_has_its_last_line(tmp_path: Path) -> None:
    said = activity_after(tmp_path, STARTED, PROGRESS, replace(PROGRESS, line="wrote \x1b[2J it"))
    assert said == ItemActivity(ItemPhase.RUNNING, 1.0, 2, clean_text("wrote it"))


def test_a_failed_attempt_waits_and_its_reason_stays(tmp_path: Path) -> None:
    failed = AttemptFailed(batch="b", outcome=BROKE, left=1)
    waits = activity_after(tmp_path, STARTED, PROGRESS, failed)
    assert waits == ItemActivity(ItemPhase.WAITING, 3.0, 1, reason=BROKE.reason)
    again = activity_after(tmp_path, STARTED, PROGRESS, failed, STARTED)
    assert again == ItemActivity(ItemPhase.RUNNING, 4.0, 2, reason=BROKE.reason)


def test_a_busy_server_and_a_result(tmp_path: Path) -> None:
    busy = activity_after(tmp_path, STARTED, SHOWN[ItemWaiting])
    assert busy == ItemActivity(ItemPhase.WAITING, 2.0, 2, reason=clean_text("busy"))
    failed = activity_after(tmp_path, STARTED, ItemFinished(batch="b", outcome=BROKE))
    assert failed == ItemActivity(ItemPhase.FINISHED, 2.0, 1, reason=BROKE.reason, status=ItemStatus.FAILED)
    done = activity_after(tmp_path, STARTED, ItemFinished(batch="b", outcome=WROTE))
    assert done == ItemActivity(ItemPhase.FINISHED, 2.0, 1, status=ItemStatus.SUCCEEDED)


def test_only_the_present_process_counts(tmp_path: Path) -> None:
    assert activity_after(tmp_path, STARTED, SHOWN[BatchStarted]) is None
    assert activity_after(tmp_path, STARTED, since=5.0) is None


def test_whatever_is_in_the_log(tmp_path: Path) -> None:
    odd = b'{"event":"item-progress","slug":"other","line":"x"}\n{"event":"item-progress",\n[1]\n{"event":"item-fin\xff'
    assert activity_after(tmp_path, STARTED, more=odd) == ItemActivity(ItemPhase.RUNNING, 1.0, 2)
    (tmp_path / "b" / LOG).unlink()
    (tmp_path / "b" / LOG).symlink_to(tmp_path)
    assert read_activity(tmp_path, "b", 0.0) == BatchActivity()


def test_machines_that_items_were_sent_to_without_an_end(tmp_path: Path) -> None:
    """By the runs before this one too, which were killed."""
    sent = SHOWN[ItemSent]
    assert isinstance(sent, ItemSent)
    sent = replace(sent, slug=KEY, host="one")
    other = replace(sent, slug=ItemKey("other"), host="two")
    activity_after(tmp_path, STARTED, sent, PROGRESS, other, SHOWN[BatchStarted], more=b'{"event":"item-s')
    assert find_last_hosts(tmp_path, "b", {KEY}) == {"one"}
    assert find_last_hosts(tmp_path, "b", {KEY, other.slug}) == {"one", "two"}
    activity_after(tmp_path, sent, replace(sent, host="two"))
    assert find_last_hosts(tmp_path, "b", {KEY}) == {"two"}
    for end in (ItemFinished(batch="b", outcome=WROTE), AttemptFailed(batch="b", outcome=BROKE, left=1)):
        activity_after(tmp_path, sent, end)
        assert find_last_hosts(tmp_path, "b", {KEY}) == frozenset()
    assert find_last_hosts(tmp_path, "new", {KEY}) == frozenset()


@pytest.mark.parametrize(
    ("kind", "pause"),
    [
        (CheckpointReached, BatchPause.REVIEW),
        (ConfigChanged, BatchPause.CONFIGURATION),
        (BatchWaiting, BatchPause.SERVER),
        (GateStarted, BatchPause.GATE),
        (GroupStarted, None),
    ],
)
def test_what_the_batch_waits_for(tmp_path: Path, kind: type[Event], pause: BatchPause | None) -> None:
    activity_after(tmp_path, STARTED, SHOWN[kind])
    found = read_activity(tmp_path, "b", 0.0)
    assert found.pause is pause
    assert found.until == (14.0 if pause is BatchPause.SERVER else 2.0)
    assert read_activity(tmp_path, "b", 3.0).pause is None


@pytest.mark.rule("F2")
@pytest.mark.parametrize("kind", [CheckpointReached, GateStarted])
def test_early_items_that_run_on_end_no_wait(tmp_path: Path, kind: type[Event]) -> None:
    """An item ends and another one starts, while a person or a gate is waited for; then the next group begins."""
    waiting = (STARTED, SHOWN[kind], ItemFinished(batch="b", outcome=WROTE), STARTED)
    activity_after(tmp_path, *waiting)
    pause = BatchPause.REVIEW if kind is CheckpointReached else BatchPause.GATE
    assert read_activity(tmp_path, "b", 0.0).pause is pause
    activity_after(tmp_path, *waiting, SHOWN[GroupStarted])
    assert read_activity(tmp_path, "b", 0.0).pause is None


@pytest.mark.rule("F2")
def test_an_early_item_with_what_it_has_cost_so_far(tmp_path: Path) -> None:
    charged = SHOWN[ItemCharged]
    found = activity_after(tmp_path, charged, replace(STARTED, early=True), charged, charged)
    assert found == ItemActivity(ItemPhase.RUNNING, 2.0, 2, is_early=True, charged=0.5)
