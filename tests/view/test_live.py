"""The live view: rows for running items below everything that has ended."""

from collections.abc import Iterator
from io import StringIO

import pytest
from rich.console import Console
from rich.progress_bar import ProgressBar
from view.events import EVENTS

from gitbatch.batch.events import (
    BatchStarted,
    CheckStarted,
    Event,
    GateFinished,
    GateStarted,
    ItemFinished,
    ItemProgress,
    ItemStarted,
)
from gitbatch.view.live import LiveView
from gitbatch.view.terminal import Terminal


class Screen:
    """A live view on a terminal of its own, with a clock that stands."""

    def __init__(self) -> None:
        self.console = Console(file=StringIO(), force_terminal=True, color_system=None, width=120)
        self.view = LiveView(Terminal(self.console), lambda: 100.0)

    def drawn(self) -> str:
        """The part of the screen that is redrawn."""
        paper = Console(file=StringIO(), width=120)
        with paper.capture() as captured:
            paper.print(self.view._render_screen())
        return captured.get()


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen()
    yield made
    made.view.close()


def of_kind(kind: type[Event]) -> Event:
    return next(event for event, _ in EVENTS if isinstance(event, kind))


def test_running_item_has_a_row(screen: Screen) -> None:
    for kind in (BatchStarted, ItemStarted, ItemProgress):
        screen.view(of_kind(kind))
    row, bar = screen.drawn().splitlines()
    assert "T1" in row
    assert "oh" in row
    assert "0 of 1 item " in bar


def test_item_that_runs_again_counts_once(screen: Screen) -> None:
    for kind in (BatchStarted, ItemStarted, ItemFinished, ItemStarted, ItemFinished):
        screen.view(of_kind(kind))
    assert "1 of 1 item " in screen.drawn()


@pytest.mark.parametrize("name", ["ItemFinished", "ItemWaiting", "AttemptFailed"])
def test_row_goes_when_the_item_ends(screen: Screen, name: str) -> None:
    screen.view(of_kind(ItemStarted))
    screen.view(next(event for event, _ in EVENTS if type(event).__name__ == name))
    assert len(screen.drawn().splitlines()) == 1


def test_running_gate_has_a_row(screen: Screen) -> None:
    for kind in (BatchStarted, GateStarted):
        screen.view(of_kind(kind))
    row, _ = screen.drawn().splitlines()
    assert "gate tests" in row
    assert "1 of 2 items" in row
    screen.view(of_kind(GateFinished))
    assert len(screen.drawn().splitlines()) == 1


def test_check_of_a_held_output_has_a_row(screen: Screen) -> None:
    screen.view(of_kind(CheckStarted))
    row, _ = screen.drawn().splitlines()
    assert "T1" in row
    assert "check links" in row


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (event, lines)
        for event, lines in EVENTS
        if not isinstance(event, ItemStarted | ItemProgress | CheckStarted | GateStarted)
    ],
    ids=lambda value: type(value).__name__,
)
def test_everything_else_is_printed(event: Event, expected: str) -> None:
    screen = Screen()
    with screen.console.capture() as captured:
        screen.view(event)
    printed = [line.strip() for line in captured.get().splitlines()]
    assert printed == [line.strip() for line in expected.splitlines()]


def test_bar_is_readable_without_colour(screen: Screen) -> None:
    screen.view(of_kind(BatchStarted))
    screen.view._total, screen.view._done = 3, 1
    assert f"[{'#' * 10}{'-' * 20}] 1 of 3 items" in screen.drawn()


def test_bar_in_colour() -> None:
    view = LiveView(Terminal(Console(file=StringIO(), force_terminal=True, color_system="standard")))
    view._total, view._done = 3, 1
    assert isinstance(view._render_bar(), ProgressBar)
