"""The live view: in a terminal, one line for each running item and a bar for the batch."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from gitbatch.batch.events import (
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
    GateEvent,
    GateStarted,
    GroupStarted,
    ItemEvent,
    ItemFinished,
    ItemProgress,
    ItemStarted,
    ItemWaiting,
    Notice,
)
from gitbatch.limits.causes import WAIT_DESCRIPTIONS
from gitbatch.plan.model import ItemKey
from gitbatch.text import format_count
from gitbatch.view.plain import PlainView
from gitbatch.view.terminal import Terminal

_REFRESH = 8
"""Redraws per second."""
_BAR = 30
"""Columns of the bar."""


@dataclass(slots=True)
class _Row:
    name: str
    began: float
    last: str = ""


def _gate_key(gate: str) -> ItemKey:
    """Returns the key of a gate's row; an item's key has no space."""
    return ItemKey(f"gate {gate}")


class LiveView:
    """Redraws a line for each running item; everything that has ended is printed above, as in the line view."""

    def __init__(self, terminal: Terminal, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._plain = PlainView(terminal)
        self._terminal = terminal
        self._console = terminal.console
        self._spinner = Spinner("line" if terminal.is_limited else "dots")
        self._monotonic = monotonic
        self._rows: dict[ItemKey, _Row] = {}
        self._done = 0
        self._ended: set[ItemKey] = set()
        self._total = 0
        self._opens, self._why = 0.0, ""
        self._live: Live | None = None

    def __call__(self, event: Event) -> None:
        """Shows an event."""
        if isinstance(event, ItemEvent):
            self._follow_item(event)
        elif isinstance(event, GateEvent):
            self._follow_gate(event)
        elif isinstance(event, EndEvent):
            self._follow_end(event)
        else:
            self._follow_batch(event)
        if not isinstance(event, ItemStarted | ItemProgress | GateStarted):  # these have a row of their own
            self._plain(event)

    def _follow_item(self, event: ItemEvent) -> None:
        match event:
            case ItemStarted():
                self._rows[event.slug] = _Row(event.name, self._monotonic())
                self._start_drawing()
            case ItemProgress():
                if event.slug in self._rows:
                    self._rows[event.slug].last = event.line
            case CheckStarted() | CheckFinished():
                self._follow_check(event)
            case ItemWaiting():
                self._rows.pop(event.slug, None)
            case AttemptFailed():
                self._rows.pop(event.outcome.item.key, None)
            case ItemFinished():
                self._rows.pop(event.outcome.item.key, None)
                self._done += event.outcome.item.key not in self._ended  # it may run again
                self._ended.add(event.outcome.item.key)
            case _:
                assert_never(event)

    def _follow_check(self, event: CheckStarted | CheckFinished) -> None:
        if isinstance(event, CheckStarted):  # of an item that was held, its agent has no row
            row = self._rows.setdefault(event.slug, _Row(event.name, self._monotonic()))
            row.last = f"check {event.check}"
            self._start_drawing()

    def _follow_batch(self, event: BatchEvent) -> None:
        match event:
            case BatchStarted():
                self._total, self._done = event.items, event.items_done
            case GroupStarted():
                self._done += len(event.already)
            case BatchWaiting():
                self._opens, self._why = self._monotonic() + event.seconds, WAIT_DESCRIPTIONS[event.reason]
            case CheckpointReached() | ConfigChanged():
                self.close()
            case Notice():
                pass
            case _:
                assert_never(event)

    def _follow_gate(self, event: GateEvent) -> None:
        if isinstance(event, GateStarted):
            last = f"{len(event.items)} of {format_count(event.of, 'item')}"
            self._rows[_gate_key(event.gate)] = _Row(f"gate {event.gate}", self._monotonic(), last)
            self._start_drawing()
        else:
            self._rows.pop(_gate_key(event.gate), None)

    def _follow_end(self, event: EndEvent) -> None:
        match event:
            case BatchHalted():
                self.close()
            case (
                BatchPaused() | BatchStopped() | BatchFinished()
            ):  # a checkpoint or the caller has closed the view
                pass
            case _:
                assert_never(event)

    def close(self) -> None:
        """Removes the redrawn part from the screen: before a prompt, and at the end."""
        if self._live:
            self._live.stop()
            self._live = None

    def _start_drawing(self) -> None:
        if self._live is None:
            self._live = Live(
                console=self._console,
                get_renderable=self._render_screen,
                refresh_per_second=_REFRESH,
                transient=True,
                vertical_overflow="ellipsis",
            )
            self._live.start()

    def _render_screen(self) -> RenderableType:
        table = Table.grid(padding=(0, 1))
        table.add_column(width=1)
        table.add_column(no_wrap=True)
        table.add_column(justify="right", width=6)
        table.add_column(no_wrap=True, overflow="crop" if self._terminal.is_limited else "ellipsis")
        now = self._monotonic()
        for row in list(self._rows.values()):
            elapsed = f"{now - row.began:.0f} s"
            name, last = self._terminal.fit(row.name), self._terminal.fit(row.last)
            table.add_row(self._spinner, Text(name, "bold"), Text(elapsed, "dim"), Text(last, "dim"))
        bar = Table.grid(padding=(0, 1))
        waiting = f"  waiting {self._opens - now:.0f} s: {self._why}" if self._opens > now else ""
        bar.add_row(
            self._render_bar(),
            Text(f"{self._done} of {format_count(self._total, 'item')}"),
            Text(waiting, "yellow"),
        )
        return Group(table, bar)

    def _render_bar(self) -> RenderableType:
        """Returns the bar of the batch; its two parts differ also without colour."""
        total = self._total or 1
        if self._terminal.is_limited or self._console.no_color or self._console.color_system is None:
            done = min(_BAR, _BAR * self._done // total)
            return Text(f"[{'#' * done}{'-' * (_BAR - done)}]")
        return ProgressBar(total, self._done, width=_BAR)
