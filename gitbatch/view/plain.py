"""The line view: one line for each event, for logs, pipes and plain terminals."""

from typing import assert_never

from gitbatch.agents.protocol import OutputStream
from gitbatch.batch.events import (
    CHANGED_CONFIG,
    AttemptFailed,
    BatchEvent,
    BatchFinished,
    BatchHalted,
    BatchPaused,
    BatchStarted,
    BatchStopped,
    BatchWaiting,
    CheckFinished,
    CheckpointReached,
    CheckStarted,
    ConfigChanged,
    EndEvent,
    Event,
    GateFinished,
    GateStarted,
    GroupStarted,
    ItemCharged,
    ItemEvent,
    ItemFinished,
    ItemProgress,
    ItemQueued,
    ItemSent,
    ItemStarted,
    ItemWaiting,
    Notice,
)
from gitbatch.batch.history.effort import format_cost, format_tokens, format_usage
from gitbatch.batch.model import Outcome
from gitbatch.checks.verdict import VERDICT_WORDS, CheckVerdict
from gitbatch.limits.causes import TREATMENTS, WAIT_DESCRIPTIONS, Cause
from gitbatch.limits.usage import Spent, Usage, format_dollars
from gitbatch.repo.refs.names import short
from gitbatch.text import format_count
from gitbatch.view.block import Part
from gitbatch.view.eagerness import describe_eagerness, describe_early_work
from gitbatch.view.ending import render_end
from gitbatch.view.page import Page
from gitbatch.view.review import STYLES, cut_missing, render_checkpoint

_UNCONFINED = " (without one, agents have your rights)"
"""Follows the sandbox in the header if an agent runs without one."""
_LONG = 0.5
"""Seconds from which a wait is shown."""


def _describe_estimate(spent: Spent) -> str:
    """Returns how a cost limit is held where a cost is unknown."""
    unknown = f"{format_count(spent.unknown, 'attempt')} of unknown cost"
    mean = format_dollars(round(spent.mean_cost, 4))
    return f"{unknown}, counted as the mean, {mean}" if spent.mean_cost else f"{unknown}, no known cost yet"


def _format_effort(outcome: Outcome) -> str:
    """Returns an item's time, and its attempts, waits and usage where there are any to report."""
    parts = [f"{outcome.seconds:.1f} s"]
    if outcome.attempts > 1:
        parts.append(f"{outcome.attempts} attempts")
    if outcome.waited >= _LONG:
        parts.append(f"waited {outcome.waited:.0f} s")
    if outcome.spent.usage != Usage():
        parts += [format_tokens(outcome.spent.usage), format_cost(outcome.spent)]
    return ", ".join(parts)


class PlainView:
    """Prints each event as it arrives."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._names: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        """Shows an event."""
        if isinstance(event, ItemEvent):
            self._show_item(event)
        elif isinstance(event, GateStarted):
            self._show_gate_started(event)
        elif isinstance(event, GateFinished):
            self._show_gate(event)
        elif isinstance(event, EndEvent):
            self._show_end(event)
        else:
            self._show_batch(event)

    def close(self) -> None:
        """Does nothing: this view redraws no part of the screen."""

    def show_line(self, *parts: Part) -> None:
        """Shows one line."""
        self._page.show_line(*parts)

    def _show_batch(self, event: BatchEvent) -> None:
        match event:
            case BatchStarted():
                self._show_batch_started(event)
            case BatchWaiting():
                self.show_line(
                    ("waiting", "yellow"), f"   {event.seconds:.0f} s: {WAIT_DESCRIPTIONS[event.reason]}"
                )
            case GroupStarted():
                self._show_group_started(event)
            case CheckpointReached():
                self._page.show_block(render_checkpoint(event.checkpoint))
            case ConfigChanged():
                self._show_config_change(event)
            case Notice():
                self.show_line(("note", "yellow"), f"  {event.text}")
            case _:
                assert_never(event)

    def _show_item(self, event: ItemEvent) -> None:
        match event:
            case ItemStarted():
                self._show_item_started(event)
            case ItemProgress() | ItemSent():
                self._show_progress(event)
            case ItemWaiting():
                self._show_item_waiting(event)
            case CheckStarted() | ItemCharged() | ItemQueued():
                self._follow_silently(event)
            case CheckFinished():
                self._show_check(event)
            case AttemptFailed():
                self._show_failed_attempt(event)
            case ItemFinished():
                self._show_outcome(event.outcome)
            case _:
                assert_never(event)

    def _follow_silently(self, event: CheckStarted | ItemCharged | ItemQueued) -> None:
        """Shows nothing: the end of a check or of an item says it all."""
        if isinstance(event, CheckStarted):
            self._names.setdefault(event.slug, event.name)

    def _show_end(self, event: EndEvent) -> None:
        match event:
            case BatchPaused():
                early = describe_early_work(event.early)
                after = f"next: {event.next_group or 'the batch ends'}{f'; {early}' if early else ''}"
                self.show_line(("paused", "yellow"), f"  {after}")
            case BatchStopped():
                self._show_stop(event)
            case BatchHalted():
                self._show_halt(event)
            case BatchFinished():
                self._show_finish(event)
            case _:
                assert_never(event)
        self._page.show_block(render_end(event))

    def _show_batch_started(self, event: BatchStarted) -> None:
        verb = (
            f"resumes after {event.groups_done} of {format_count(event.groups, 'group')}"
            if event.resumed
            else "starts"
        )
        self.show_line(("batch ", "bold"), (event.batch, "bold"), f" {verb} on {short(event.target)}")
        counts = f"{format_count(event.items, 'item')} in {format_count(event.groups, 'group')}"
        self.show_line(f"  {counts}, checkpoint {event.mode}, agent {event.agent}, {event.jobs} at a time")
        if "none" in event.sandbox:
            self.show_line((f"  sandbox {event.sandbox}{_UNCONFINED}", "yellow"))
        elif event.sandbox:
            self.show_line(f"  sandbox {event.sandbox}")
        if event.worktrees:
            self.show_line(f"  worktrees {event.worktrees}")
        if early := describe_eagerness(event.eager, event.eager_reason, event.groups):
            self.show_line(f"  {early}")
        if event.readable:
            self.show_line(f"  agents can read of this checkout: {', '.join(event.readable)}")
        self._show_limits(event)

    def _show_limits(self, event: BatchStarted) -> None:
        if event.max_cost is not None or event.max_tokens is not None:
            cost = "" if event.max_cost is None else format_dollars(event.max_cost)
            tokens = "" if event.max_tokens is None else f"{event.max_tokens:,} tokens"
            self.show_line(f"  limit {' and '.join(filter(None, (cost, tokens)))}")
        if event.max_cost is not None and event.spent.unknown:
            self.show_line(f"  limit held by estimate: {_describe_estimate(event.spent)}")
        if event.spent.usage != Usage():
            self.show_line(f"  used so far: {format_usage(event.spent)}")

    def _show_group_started(self, event: GroupStarted) -> None:
        kept = f", {len(event.already)} done before" if event.already else ""
        self.show_line(
            (f"group {event.position}/{event.of}", "bold"),
            f"  {event.title}: {len(event.items)} to run{kept}",
        )

    def _show_gate_started(self, event: GateStarted) -> None:
        whole = len(event.items) == event.of
        on = (
            format_count(event.of, "item")
            if whole
            else f"{len(event.items)} of {format_count(event.of, 'item')}"
        )
        self.show_line("  gate      ", (event.gate, "bold"), f": {on if event.items else 'without items'}")

    def _show_gate(self, event: GateFinished) -> None:
        style = {"pass": "green", "red": "red"}.get(event.result, "yellow")
        said = f": {event.reason}" if event.reason else ""
        self.show_line(
            "  ", (f"{event.result:<9} ", style), (event.gate, "bold"), f" ({event.seconds:.1f} s){said}"
        )

    def _show_item_started(self, event: ItemStarted) -> None:
        self._names[event.slug] = event.name
        again = f", attempt {event.attempt}" if event.attempt > 1 else ""
        early = f", early: of group {event.group}" if event.early else ""
        self.show_line("  start     ", (event.name, "bold"), f" → {event.item} ({event.agent}{again}{early})")
        for missing in cut_missing(event.missing):
            self.show_line(("  without   ", "yellow"), (event.name, "bold"), f": {missing}")

    def _show_progress(self, event: ItemProgress | ItemSent) -> None:
        if isinstance(event, ItemSent):
            self.show_line("  on        ", (event.name, "bold"), f": {event.host}")
        else:
            mark, name = (
                ("!" if event.stream is OutputStream.ERROR else "|"),
                self._names.get(event.slug, event.item),
            )
            self.show_line((f"  {mark}         {name}: {event.line}", "dim"))

    def _show_failed_attempt(self, event: AttemptFailed) -> None:
        outcome = event.outcome
        what = f"attempt {outcome.attempts}: " if event.counts else ""
        cause = (
            f" ({TREATMENTS[outcome.cause].description})"
            if outcome.cause not in {None, Cause.FAILED, Cause.CHECK_FAILED}
            else ""
        )
        self.show_line(
            ("  again     " if event.counts else "  not done  ", "yellow"),
            (outcome.item.name, "bold"),
            f": {what}{outcome.reason}{cause}; {event.left} left",
        )

    def _show_check(self, event: CheckFinished) -> None:
        result = event.result
        style = "green" if result.verdict.lets_through else "red"
        said = f": {result.reason}" if result.reason else ""
        words = f"check {result.name} {VERDICT_WORDS[result.verdict]}"
        mark = "" if result.verdict is CheckVerdict.PASS else style
        self.show_line(
            (f"  {'checked':<9} ", mark),
            (event.name, "bold"),
            f": {words} ({result.seconds:.1f} s){said}",
        )

    def _show_item_waiting(self, event: ItemWaiting) -> None:
        self.show_line(("  busy      ", "yellow"), (event.name, "bold"), f": {event.reason}; it starts again")

    def _show_outcome(self, outcome: Outcome) -> None:
        seconds = f" ({_format_effort(outcome)})" if outcome.seconds else ""
        said = f": {outcome.reason}" if outcome.reason else ""
        self.show_line(
            "  ",
            (f"{outcome.status:<9} ", STYLES[outcome.status]),
            (outcome.item.name, "bold"),
            seconds,
            said,
        )
        for note in outcome.notes:
            self.show_line(("  note      ", "yellow"), (outcome.item.name, "bold"), f" {note}")

    def _show_stop(self, event: BatchStopped) -> None:
        self.show_line(("stopped", "yellow"), f"  {event.reason}")
        self.show_line(f"         {event.advice}")

    def _show_config_change(self, event: ConfigChanged) -> None:
        self.show_line(("config", "yellow"), f"  {CHANGED_CONFIG}:")
        for line in event.difference:
            self.show_line(f"        {line}")

    def _show_finish(self, event: BatchFinished) -> None:
        failed = f", {event.failed} not done" if event.failed else ""
        style = "yellow" if event.failed else "green"
        self.show_line(("finished", style), f"  {event.succeeded} done{failed}")

    def _show_halt(self, event: BatchHalted) -> None:
        self.show_line(("halted", "yellow"), f"  {event.reason}")
        self.show_line(
            f"        {format_count(event.items_left, 'item')} left; finished items are in git. {event.advice}"
        )


class VerboseView(PlainView):
    """Prints also what each agent reads."""

    def __call__(self, event: Event) -> None:
        """Shows an event."""
        super().__call__(event)
        if isinstance(event, ItemStarted):
            for path in event.context:
                self.show_line((f"  reads       {event.name}: {path}", "dim"))
