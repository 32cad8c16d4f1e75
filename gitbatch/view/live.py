"""The live view: in a terminal, a line for the batch and one for each running item below everything that has ended.

`screen.py` makes the lines; this module keeps them on the screen. What is printed above them is remembered for a
while: when the terminal gets another size, the screen is printed again from it, as terminals differ in where they move the old lines.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from msgspec.structs import replace
from rich.console import Console, Group, RenderableType
from rich.control import Control
from rich.live import Live
from rich.text import Text

from gitbatch.batch.events import (
    CheckpointReached,
    ConfigChanged,
    EndEvent,
    Event,
    GateStarted,
    ItemProgress,
    ItemStarted,
)
from gitbatch.plan.model import ItemKey
from gitbatch.view.block import Block, Part, StyledLine
from gitbatch.view.live_state import LiveState, follow_event, is_gate
from gitbatch.view.plain import PlainView
from gitbatch.view.screen import Asking, Look, render_screen
from gitbatch.view.terminal import Terminal

_REFRESH = 1 / 8
"""Seconds between two frames."""
_KEPT = 200
"""Blocks above the frame that are printed again when the size of the terminal changes."""


class LiveView:
    """Redraws the lines of what runs; everything that has ended is printed above, as in the line view."""

    def __init__(self, terminal: Terminal, clock: Callable[[], float] = time.time) -> None:
        self.state = LiveState()
        self.asking = Asking()
        self._terminal = terminal
        self._console = terminal.console
        self._printed = _PrintedBlocks(terminal)
        self._plain = PlainView(self._printed)
        self._clock = clock
        self._has_ended = False
        self._lock = threading.RLock()
        self._frame: _Frame | None = None

    def __call__(self, event: Event) -> None:
        """Shows an event."""
        with self._lock:
            self.state = follow_event(self.state, event)
        if isinstance(event, CheckpointReached | ConfigChanged | EndEvent):
            self.close()
        elif self.state.running and not self._has_ended:  # early items run on after a checkpoint
            self.start_drawing()
        self._has_ended |= isinstance(event, EndEvent)
        if not isinstance(event, ItemStarted | ItemProgress | GateStarted):  # these have a row of their own
            with self._lock:
                self._plain(event)

    @property
    def running_names(self) -> Mapping[str, ItemKey]:
        """The items that run, by name."""
        return {item.name: key for key, item in self.state.running.items() if not is_gate(key)}

    @property
    def is_drawing(self) -> bool:
        """Whether the lines are on the screen."""
        return self._frame is not None

    def set_asking(self, **changes: object) -> None:
        """Changes what the keys are used for, and shows it at once."""
        with self._lock:
            self.asking = replace(self.asking, **changes)
            if self._frame:
                self._frame.draw()

    def start_drawing(self) -> None:
        """Draws the lines from now on, if they are not."""
        with self._lock:
            if self._frame is None:
                self._frame = _Frame(self, self._console, self._lock)

    def close(self) -> None:
        """Removes the redrawn lines from the screen: before a prompt, before the process is stopped, and at the end."""
        with self._lock:
            frame, self._frame = self._frame, None
        if frame:
            frame.close()

    def render_lines(self) -> tuple[StyledLine, ...]:
        """Returns the lines as they are now."""
        console, terminal = self._console, self._terminal
        has_colour = not console.no_color and console.color_system is not None
        look = Look(console.width, console.height, terminal.is_limited, has_colour, terminal.fit)
        return render_screen(self.state, look, self._clock(), self.asking)

    def print_again(self) -> None:
        """Prints the last lines above the frame on an empty screen."""
        self._printed.print_again(self._console.height - len(self.render_lines()) - 1)


class _PrintedBlocks:
    """A page that remembers what it has shown last."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._last: deque[Block] = deque(maxlen=_KEPT)

    def show_line(self, *parts: Part) -> None:
        self._last.append((StyledLine(parts),))
        self._terminal.show_line(*parts)

    def show_block(self, block: Block) -> None:
        self._last.append(block)
        self._terminal.show_block(block)

    def print_again(self, room: int) -> None:
        """Shows the last blocks that fit into a number of rows."""
        chosen: list[Block] = []
        for block in reversed(self._last):
            room -= self._terminal.render_text(block).count("\n")
            if room < 0:
                break
            chosen.append(block)
        for block in reversed(chosen):
            self._terminal.show_block(block)


class _Frame:
    """The lines on the screen: drawn at once, then by a thread of its own until it is closed."""

    def __init__(self, view: LiveView, console: Console, lock: "threading.RLock") -> None:
        self._view = view
        self._console = console
        self._lock = lock
        self._size = self._console.size
        self._live = self._start()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._redraw, name="live view", daemon=True)
        self._thread.start()

    def _start(self) -> Live:
        live = Live(
            console=self._console,
            get_renderable=self._render,
            auto_refresh=False,
            transient=True,
            vertical_overflow="crop",
        )
        live.start(refresh=True)
        return live

    def _render(self) -> RenderableType:
        lines = (
            Text.assemble(*line.parts, no_wrap=True, overflow="ignore") for line in self._view.render_lines()
        )
        return Group(*lines)

    def _redraw(self) -> None:
        while not self._closed.wait(_REFRESH):
            with self._lock:
                if self._closed.is_set():
                    return
                try:
                    self.draw()
                except OSError:  # the terminal is gone, which stops no run
                    return

    def draw(self) -> None:
        """Draws the lines as they are now."""
        if self._console.size == self._size:
            self._live.refresh()
            return
        self._size = self._console.size
        self._live.stop()
        self._console.control(Control.home(), Control.clear())
        self._view.print_again()
        self._live = self._start()

    def close(self) -> None:
        """Removes the lines from the screen; no thread draws any more afterwards."""
        self._closed.set()
        self._thread.join()
        with self._lock:
            self._live.stop()
