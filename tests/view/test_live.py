"""The live view: rows for running items below everything that has ended."""

import threading
from collections.abc import Iterator
from io import StringIO

import pytest
from pyte import Screen as Emulator
from pyte import Stream
from rich.console import Console
from view.events import EVENTS
from waiting import wait_until

from gitbatch.batch.events import (
    BatchHalted,
    BatchStarted,
    CheckpointReached,
    CheckStarted,
    Event,
    GateFinished,
    GateStarted,
    GroupStarted,
    ItemProgress,
    ItemStarted,
    Notice,
)
from gitbatch.view.block import plain_text
from gitbatch.view.live import LiveView
from gitbatch.view.terminal import Terminal


class Screen:
    """A live view on a terminal of its own, with a clock that stands."""

    def __init__(self, width: int = 120, height: int = 24) -> None:
        self.written = StringIO()
        self.console = Console(
            file=self.written, force_terminal=True, color_system=None, width=width, height=height
        )
        self.view = LiveView(Terminal(self.console), lambda: 100.0)

    def drawn(self) -> list[str]:
        """The part of the screen that is redrawn."""
        return [plain_text(line.parts) for line in self.view.render_lines()]

    def shown(self, emulator: Emulator) -> list[str]:
        """What a terminal shows that was written since the last call, without empty rows."""
        text, _, _ = self.written.getvalue(), self.written.seek(0), self.written.truncate()
        Stream(emulator).feed(text.replace("\n", "\r\n"))
        return [row.rstrip() for row in emulator.display if row.strip()]


@pytest.fixture
def screen() -> Iterator[Screen]:
    made = Screen()
    yield made
    made.view.close()


def of_kind(kind: type[Event]) -> Event:
    return next(event for event, _ in EVENTS if isinstance(event, kind))


def test_running_item_and_gate_have_a_row(screen: Screen) -> None:
    for kind in (BatchStarted, ItemStarted, ItemProgress, GateStarted):
        screen.view(of_kind(kind))
    overall, row, gate = screen.drawn()
    assert "0 of 1 item " in overall
    assert "T1" in row
    assert "oh" in row
    assert "1 of 2 items" in gate
    screen.view(of_kind(GateFinished))
    assert len(screen.drawn()) == 2


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


@pytest.mark.parametrize("kind", [ItemStarted, CheckStarted, GateStarted])
def test_drawing_starts_with_what_runs_and_ends_at_a_checkpoint(screen: Screen, kind: type[Event]) -> None:
    emulator = Emulator(120, 24)
    screen.view(of_kind(BatchStarted))
    screen.view(of_kind(kind))
    assert "0 of 1 item" in screen.shown(emulator)[-2]
    screen.view(of_kind(CheckpointReached))
    assert not any("0 of 1 item" in row for row in screen.shown(emulator))
    assert not any(thread.name == "live view" for thread in threading.enumerate())


def test_frames_follow_by_themselves(screen: Screen) -> None:
    now = [100.0]
    screen.view = LiveView(Terminal(screen.console), lambda: now[0])
    screen.view(of_kind(ItemStarted))
    now[0] = 161.0
    wait_until(lambda: "2:41" in screen.written.getvalue(), "a frame with the new time")


@pytest.mark.parametrize(("width", "height"), [(40, 12), (160, 50), (80, 10)])
def test_other_size_leaves_no_ghosts(width: int, height: int) -> None:
    """Each row is there once; what was printed above is printed again in the new width."""
    screen = Screen(80, 24)
    emulator = Emulator(80, 24)
    screen.view(of_kind(BatchStarted))
    for number in range(30):
        screen.view(Notice(batch="b", text=f"word {number}"))
    for kind in (ItemStarted, ItemProgress, GateStarted):
        screen.view(of_kind(kind))
    assert "word 29" in "\n".join(screen.shown(emulator))
    emulator.resize(height, width)
    screen.console.size = (width, height)
    screen.view.set_asking()
    rows = screen.shown(emulator)
    assert [row for row in rows if "gate tests" in row] == rows[-1:]
    assert sum(" T1 " in row for row in rows) == 1
    assert sum("0 of 1 item" in row for row in rows) == 1
    words = [row for row in rows if row.startswith("note")]
    assert words == [f"note  word {number}" for number in range(30 - min(30, height - 4), 30)]
    screen.view.close()


class ClosedTerminal(StringIO):
    """Raises what a terminal does that has been closed, after a while."""

    is_closed = False

    def write(self, text: str) -> int:
        if self.is_closed:
            raise OSError(5, "Input/output error")
        return super().write(text)


def test_terminal_that_is_gone_ends_the_drawing_alone() -> None:
    """An error of the thread would be shown as a traceback."""
    output = ClosedTerminal()
    view = LiveView(Terminal(Console(file=output, force_terminal=True, width=80, height=24)))
    view(of_kind(ItemStarted))
    output.is_closed = True
    wait_until(lambda: not any(t.name == "live view" for t in threading.enumerate()), "the thread has ended")
    output.is_closed = False
    view.close()


def test_early_items_that_run_on_after_a_checkpoint_are_drawn(screen: Screen) -> None:
    """Nothing of the next group has to start before: all of it may be at work. Nothing is drawn behind the end of a run."""
    screen.view(of_kind(ItemStarted))
    screen.view(of_kind(CheckpointReached))
    assert not screen.view.is_drawing, "a person may be asked now"
    screen.view(of_kind(GroupStarted))
    assert screen.view.is_drawing
    screen.view(of_kind(BatchHalted))
    screen.view(of_kind(Notice))
    assert not screen.view.is_drawing


def test_what_the_keys_are_used_for_is_shown_at_once(screen: Screen) -> None:
    screen.view(of_kind(ItemStarted))
    screen.view.set_asking(question="stop which item? T")
    assert "stop which item? T" in screen.written.getvalue()


def test_closing_twice_and_drawing_again(screen: Screen) -> None:
    screen.view.close()
    screen.view.start_drawing()
    screen.view.start_drawing()
    assert sum(thread.name == "live view" for thread in threading.enumerate()) == 1
    screen.view.close()
    screen.view.close()
    assert not any(thread.name == "live view" for thread in threading.enumerate())
