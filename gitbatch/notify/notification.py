"""A notification about a run that waits or has ended: counts and names of the plan; texts of agents only on request."""

from msgspec import Struct

from gitbatch.batch.events import (
    SCHEMA,
    BatchFinished,
    BatchHalted,
    BatchPaused,
    EndEvent,
)
from gitbatch.batch.model import Checkpoint, ItemStatus, Outcome
from gitbatch.text import CleanText, clean_text, format_count


class NotifiedItem(Struct, frozen=True):
    """An item with what its agent said, or why it failed."""

    item: str
    status: ItemStatus
    text: CleanText


class Notification(Struct, frozen=True, kw_only=True):
    """A notification; its JSON is sent to a web hook, and to a command on standard input."""

    schema: int = SCHEMA
    event: str
    """`review`, or the kind of the run's last event: `batch-paused`, `batch-halted`, `batch-stopped`, `batch-finished`."""
    repository: str
    """The name of its folder."""
    batch: str
    text: CleanText
    """A sentence."""
    failed: int
    """Items that did not succeed: of the review, or of the batch."""
    items: tuple[NotifiedItem, ...] = ()
    """Only if `summaries` is set: the items of the review, or those of the batch that did not succeed."""


def describe_review(checkpoint: Checkpoint, repository: str, *, summaries: bool) -> Notification:
    """Returns the message for a review that waits for an answer."""
    done = checkpoint.succeeded
    text = f"{repository}: checkpoint {checkpoint.number}/{checkpoint.of} waits for a review: {done} of "
    return Notification(
        event="review",
        repository=repository,
        batch=checkpoint.batch,
        text=clean_text(f"{text}{format_count(checkpoint.total, 'item')} done"),
        failed=len(checkpoint.failures),
        items=tuple(map(_describe_outcome, checkpoint.outcomes)) if summaries else (),
    )


def _describe_outcome(outcome: Outcome) -> NotifiedItem:
    said = outcome.reply.summary if outcome.reply and outcome.succeeded else outcome.reason
    return NotifiedItem(outcome.item.name, outcome.status, said)


def describe_end(event: EndEvent, repository: str, *, summaries: bool) -> Notification:
    """Returns the message for the end of a run."""
    items = tuple(NotifiedItem(each.name, each.status, each.reason) for each in event.failures)
    return Notification(
        event=type(event).__struct_config__.tag,  # type: ignore[arg-type]  # each event has a text as its tag
        repository=repository,
        batch=event.batch,
        text=clean_text(f"{repository}: {_describe_ending(event)}"),
        failed=len(event.failures),
        items=items if summaries else (),
    )


def _describe_ending(event: EndEvent) -> str:
    failed = f", {format_count(len(event.failures), 'item')} did not succeed" if event.failures else ""
    match event:
        case BatchPaused():
            return f"the batch is paused{failed}"
        case BatchHalted():
            return (
                f"the batch has halted ({event.cause}), {format_count(event.items_left, 'item')} left{failed}"
            )
        case BatchFinished():
            return f"the batch has finished: {format_count(event.succeeded, 'item')} done{failed}"
        case _:
            return f"the batch has stopped{failed}"
