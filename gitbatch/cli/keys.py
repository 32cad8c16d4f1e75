"""The keys of the live view: what they do, and reading them from the terminal while no question is asked.

There is one reader of the terminal at a time: keys are read by the event loop, so that nothing reads any more when
`stop` has returned. Ctrl-Z gives the terminal back as it was before the process is stopped.
"""

import asyncio
import os
import signal
import sys
import termios
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import FrameType
from typing import Protocol, runtime_checkable

from gitbatch.batch.session import Session
from gitbatch.cli.views import EventView
from gitbatch.patterns import compile_later
from gitbatch.plan.model import ItemKey

_SEQUENCES = compile_later(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.)")
"""Arrow keys, function keys, and what else terminals send as several characters."""
_ESCAPE, _BACKSPACES, _ENTERS = "\x1b", "\x7f\b", "\r\n"
_LOCAL_FLAGS = 3
"""The place of a terminal's local modes in what `tcgetattr` returns."""
_WHICH = "stop which item? "


@runtime_checkable
class KeyedView(EventView, Protocol):
    """A view that shows what the keys are used for."""

    @property
    def running_names(self) -> Mapping[str, ItemKey]:
        """The items that run, by name."""
        ...

    @property
    def is_drawing(self) -> bool:
        """Whether a part of the screen is redrawn now."""
        ...

    def start_drawing(self) -> None:
        """Redraws a part of the screen from now on."""
        ...

    def set_asking(self, **changes: object) -> None:
        """Changes what the keys are used for, and shows it at once."""
        ...


class KeyCommands:
    """What each key does."""

    def __init__(self, view: KeyedView, session: Session) -> None:
        self._view = view
        self._session = session
        self._shows_help = False
        self._typed: str | None = None
        """The name of the item to stop as far as it is typed; None: it is not asked for."""

    def follow_keys(self, text: str) -> None:
        """Does what keys ask for, in their order."""
        for key in _SEQUENCES.sub("", text):
            if self._typed is None:
                self._follow_key(key)
            else:
                self._follow_name(key, self._typed)

    def _follow_key(self, key: str) -> None:
        if key == "p":
            self._session.request_pause()
            self._view.set_asking(is_pausing=True)
        elif key == "k" and self._view.running_names:
            self._ask("")
        elif key == "?":
            self._shows_help = not self._shows_help
            self._view.set_asking(shows_help=self._shows_help)

    def _follow_name(self, key: str, typed: str) -> None:
        if key == _ESCAPE:
            self._ask(None)
        elif key in _BACKSPACES:
            self._ask(typed[:-1])
        elif key in _ENTERS:
            self._stop_item(typed)
        elif key.isprintable():
            self._ask(typed + key)

    def _ask(self, typed: str | None, problem: str = "") -> None:
        self._typed = typed
        question = None if typed is None else f"{problem}{_WHICH}{typed}_  (Enter; Esc: none)"
        self._view.set_asking(question=question)

    def _stop_item(self, typed: str) -> None:
        """Stops the item with a name, or the only one whose name begins so."""
        names = self._view.running_names
        found = [typed] if typed in names else [name for name in names if typed and name.startswith(typed)]
        if not typed:
            self._ask(None)
        elif len(found) != 1:
            self._ask("", f"{len(found)} running items are called {typed}…: ")
        else:
            self._ask(None)
            stopped = self._session.stop_item(names[found[0]])
            cannot = "cannot be stopped now: neither its agent nor a check runs"
            self._session.notify(f"{found[0]}: {'stopping it' if stopped else cannot}")


class TerminalKeys:
    """Reads keys from standard input while items run."""

    def __init__(self, view: EventView, session: Session, *, can_ask: bool) -> None:
        self._view = view if can_ask and isinstance(view, KeyedView) else None
        self._commands = KeyCommands(self._view, session) if self._view else None
        self._modes: list[object] | None = None
        """Those of the terminal before keys were read; None: none are read."""
        self._before: dict[signal.Signals, object] = {}

    def start(self) -> None:
        """Reads keys from now on, one at a time and without an echo, if the process is in the foreground."""
        if self._view is None:
            return
        loop = asyncio.get_running_loop()
        handlers = {signal.SIGTSTP: self._suspend, signal.SIGCONT: self._read_in_foreground}
        for number, handler in handlers.items():
            self._before.setdefault(number, signal.getsignal(number))
            signal.signal(number, _make_handler(loop, handler))
        self._read_in_foreground()

    def stop(self) -> None:
        """Reads no key any more; the terminal is as it was before."""
        self._release_terminal()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what `getsignal` returned
        self._before.clear()

    def _read_in_foreground(self) -> None:
        terminal = sys.stdin.fileno()
        if self._view is None or self._modes is not None or not is_in_foreground(terminal):
            return
        self._modes = termios.tcgetattr(terminal)
        modes = termios.tcgetattr(terminal)
        modes[_LOCAL_FLAGS] &= ~(termios.ICANON | termios.ECHO)
        termios.tcsetattr(terminal, termios.TCSANOW, modes)
        asyncio.get_running_loop().add_reader(terminal, self._read_keys)
        self._view.set_asking(has_keys=True)

    def _release_terminal(self) -> None:
        if self._view is None or self._modes is None:
            return
        terminal = sys.stdin.fileno()
        asyncio.get_running_loop().remove_reader(terminal)
        with suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(terminal, termios.TCSANOW, self._modes)  # type: ignore[arg-type]  # what `tcgetattr` returned
        self._modes = None
        self._view.set_asking(has_keys=False, question=None)

    def _read_keys(self) -> None:
        try:
            text = os.read(sys.stdin.fileno(), 1024).decode(errors="ignore")
        except OSError:  # the terminal is gone
            text = ""
        if text and self._commands:
            self._commands.follow_keys(text)
        elif not text:
            self._release_terminal()

    def _suspend(self) -> None:
        """Stops the process as Ctrl-Z does, with nothing redrawn and the terminal as it was; then continues."""
        assert self._view is not None  # noqa: S101 - the handler is set only with a view
        was_drawing = self._view.is_drawing
        self._release_terminal()
        self._view.close()
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, handler)
        self._read_in_foreground()
        if was_drawing:
            self._view.start_drawing()


def is_in_foreground(terminal: int) -> bool:
    """Whether a terminal is this process's; one that is gone is not."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False


def _make_handler(
    loop: asyncio.AbstractEventLoop, act: Callable[[], None]
) -> Callable[[int, FrameType | None], None]:
    """Returns a handler that acts on the event loop, between two of its steps."""

    def handle_signal(_number: int, _frame: FrameType | None) -> None:
        with suppress(RuntimeError):  # the loop is closed: the run has ended
            loop.call_soon_threadsafe(act)

    return handle_signal
