"""The line view: one line for each event, for logs, pipes and plain terminals."""

from functools import singledispatchmethod

from gitbatch.agents.protocol import OutputStream
from gitbatch.batch.events import (
    CHANGED_CONFIG,
    AttemptFailed,
    BatchFinished,
    BatchHalted,
    BatchPaused,
    BatchStarted,
    BatchStopped,
    BatchWaiting,
    CheckpointReached,
    ConfigChanged,
    Event,
    GroupStarted,
    ItemFinished,
    ItemProgress,
    ItemStarted,
    ItemWaiting,
    Notice,
)
from gitbatch.batch.history.messages import format_cost, format_tokens, format_usage
from gitbatch.batch.model import Outcome
from gitbatch.limits.causes import TREATMENTS, WAIT_DESCRIPTIONS, Cause
from gitbatch.limits.usage import Spent, Usage, format_dollars
from gitbatch.repo.refs.names import short
from gitbatch.view.block import Part
from gitbatch.view.page import Page
from gitbatch.view.review import STYLES, render_checkpoint

_LONG = 0.5
"""Seconds from which on a wait is told."""


def _took(outcome: Outcome) -> str:
    """How long an item took, and what for, if it was more than one attempt."""
    parts = [f"{outcome.seconds:.1f} s"]
    if outcome.attempts > 1:
        parts.append(f"{outcome.attempts} attempts")
    if outcome.waited >= _LONG:
        parts.append(f"waited {outcome.waited:.0f} s")
    if outcome.spent.usage != Usage():
        parts += [format_tokens(outcome.spent.usage), format_cost(outcome.spent)]
    return ", ".join(parts)


class PlainView:
    """Prints events as they come."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._names: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        """Show an event."""
        self.show(event)

    def close(self) -> None:
        """Nothing moves on the screen here."""

    def line(self, *parts: Part) -> None:
        """Show one line."""
        self.page.line(*parts)

    @singledispatchmethod
    def show(self, event: Event) -> None:
        """Show one kind of event; a kind without a line of its own is not shown."""

    @show.register
    def _(self, event: BatchStarted) -> None:
        verb = f"goes on after {event.groups_done} of {event.groups} groups" if event.resumed else "starts"
        self.line(("batch ", "bold"), (event.batch, "bold"), f" {verb} on {short(event.target)}")
        self.line(
            f"  {event.items} items in {event.groups} groups, checkpoint {event.mode}, "
            f"agent {event.agent}, {event.jobs} at a time",
            (
                f", sandbox {event.sandbox}" if event.sandbox else "",
                "yellow" if "none" in event.sandbox else "",
            ),
        )
        if event.readable:
            self.line(f"  agents can read of this checkout: {', '.join(event.readable)}")
        if event.max_cost is not None or event.max_tokens is not None:
            cost = "" if event.max_cost is None else format_dollars(event.max_cost)
            tokens = "" if event.max_tokens is None else f"{event.max_tokens:,} tokens"
            self.line(f"  limit {' and '.join(filter(None, (cost, tokens)))}")
        if event.spent.usage != Usage():
            self.line(f"  used so far: {format_usage(event.spent)}")

    @show.register
    def _(self, event: GroupStarted) -> None:
        kept = f", {len(event.already)} done before" if event.already else ""
        self.line(
            (f"group {event.position}/{event.of}", "bold"),
            f"  {event.title}: {len(event.items)} to run{kept}",
        )

    @show.register
    def _(self, event: ItemStarted) -> None:
        self._names[event.item] = event.name
        again = f", attempt {event.attempt}" if event.attempt > 1 else ""
        self.line("  start     ", (event.name, "bold"), f" → {event.item} ({event.agent}{again})")

    @show.register
    def _(self, event: ItemProgress) -> None:
        mark = "!" if event.stream is OutputStream.ERROR else "|"
        self.line((f"  {mark}         {self._names.get(event.item, event.item)}: {event.line}", "dim"))

    @show.register
    def _(self, event: AttemptFailed) -> None:
        outcome = event.outcome
        what = f"attempt {outcome.attempts}: " if event.counts else ""
        cause = (
            f" ({TREATMENTS[outcome.cause].description})" if outcome.cause not in {None, Cause.FAILED} else ""
        )
        self.line(
            ("  again     " if event.counts else "  not done  ", "yellow"),
            (outcome.item.name, "bold"),
            f": {what}{outcome.reason}{cause}; {event.left} left",
        )

    @show.register
    def _(self, event: ItemWaiting) -> None:
        self.line(("  busy      ", "yellow"), (event.name, "bold"), f": {event.reason}; it starts again")

    @show.register
    def _(self, event: BatchWaiting) -> None:
        self.line(("waiting", "yellow"), f"   {event.seconds:.0f} s: {WAIT_DESCRIPTIONS[event.reason]}")

    @show.register
    def _(self, event: ItemFinished) -> None:
        outcome = event.outcome
        seconds = f" ({_took(outcome)})" if outcome.seconds else ""
        said = f": {outcome.reason}" if outcome.reason else ""
        self.line(
            "  ",
            (f"{outcome.status:<10}", STYLES[outcome.status]),
            (outcome.item.name, "bold"),
            seconds,
            said,
        )

    @show.register
    def _(self, event: CheckpointReached) -> None:
        self.page.show(render_checkpoint(event.checkpoint))

    @show.register
    def _(self, event: BatchPaused) -> None:
        self.line(("paused", "yellow"), f"  next: {event.next_group}")

    @show.register
    def _(self, event: BatchStopped) -> None:
        self.line(("stopped", "yellow"), f"  {event.reason}")
        self.line(f"         {event.advice}")

    @show.register
    def _(self, event: ConfigChanged) -> None:
        self.line(("config", "yellow"), f"  {CHANGED_CONFIG}:")
        for line in event.difference:
            self.line(f"        {line}")

    @show.register
    def _(self, event: BatchFinished) -> None:
        failed = f", {event.failed} not done" if event.failed else ""
        style = "yellow" if event.failed else "green"
        self.line(("finished", style), f"  {event.succeeded} done{failed}")
        self._told_total(event.spent)

    @show.register
    def _(self, event: BatchHalted) -> None:
        self.line(("halted", "yellow"), f"  {event.reason}")
        self.line(f"        {event.items_left} item(s) are left; what is done is in git. {event.advice}")
        self._told_total(event.spent)

    def _told_total(self, spent: Spent) -> None:
        if spent.usage != Usage():
            self.line(("total", "bold"), f"     {format_usage(spent)}")

    @show.register
    def _(self, event: Notice) -> None:
        self.line(("note", "yellow"), f"  {event.text}")
