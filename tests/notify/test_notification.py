"""What a notification says, and what of it only with `summaries`."""

import pytest
from view.events import CHECKPOINT, EVENTS, LOST

from gitbatch.batch.events import BatchFinished, BatchHalted, BatchPaused, BatchStopped, EndEvent
from gitbatch.batch.model import ItemStatus
from gitbatch.limits.causes import Cause
from gitbatch.notify.notification import NotifiedItem, describe_end, describe_review
from gitbatch.text import clean_text

HALTED = BatchHalted(
    batch="b",
    cause=Cause.FATAL,
    reason=clean_text("T1: said by an agent"),
    advice="fix it",
    back_at=None,
    items_left=2,
)


@pytest.mark.parametrize(
    ("event", "kind", "text"),
    [
        (BatchPaused(batch="b", next_group="Words"), "batch-paused", "the batch is paused"),
        (HALTED, "batch-halted", "the batch has halted (agent-unusable), 2 items left"),
        (
            BatchStopped(batch="b", reason="it is done", advice="", failures=(LOST, LOST)),
            "batch-stopped",
            "the batch has stopped, 2 items did not succeed",
        ),
        (
            BatchFinished(batch="b", succeeded=3, failed=1, failures=(LOST,)),
            "batch-finished",
            "the batch has finished: 3 items done, 1 item did not succeed",
        ),
    ],
)
def test_end(event: EndEvent, kind: str, text: str) -> None:
    told = describe_end(event, "demo", summaries=False)
    assert (told.event, told.text, told.failed) == (kind, f"demo: {text}", len(event.failures))
    assert told.items == ()


def test_reasons_only_on_request() -> None:
    event = BatchFinished(batch="b", succeeded=3, failed=1, failures=(LOST,))
    told = describe_end(event, "demo", summaries=True)
    assert told.items == (NotifiedItem("T1", ItemStatus.FAILED, clean_text("it broke")),)


def test_review() -> None:
    told = describe_review(CHECKPOINT, "demo", summaries=False)
    assert (told.event, told.batch, told.failed, told.items) == ("review", "b", 1, ())
    assert told.text == "demo: checkpoint 1/2 waits for a review: 1 of 2 items done"
    items = describe_review(CHECKPOINT, "demo", summaries=True).items
    assert [each.text for each in items] == ["It wrote a.", "it broke"]


def test_every_end_has_a_text() -> None:
    ends = [event for event, _ in EVENTS if isinstance(event, EndEvent)]
    assert all(describe_end(event, "demo", summaries=False).text for event in ends)
