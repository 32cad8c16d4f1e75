"""Sequences for a terminal besides text: to ring, to show a notification, and how far a run is.

Sequences are written only to terminals that are known to read them: others would show them, or something else instead.
"""

from collections.abc import Mapping

from msgspec import Struct

from gitbatch.batch.events import BatchPaused, EndEvent, Event
from gitbatch.text import clean_text
from gitbatch.view.live_state import LiveState, follow_event
from gitbatch.view.terminal import Terminal

BELL = "\a"
_END = "\x1b\\"
_NO_PROGRESS, _NORMAL, _ERROR, _PAUSED = 0, 1, 2, 4
"""The states of OSC 9;4, as ConEmu has defined them."""
_PROGRESS_PROGRAMS = frozenset({"WezTerm", "ghostty"})
_NOTIFYING_PROGRAMS = frozenset({"iTerm.app", "WezTerm", "ghostty"})


class Abilities(Struct, frozen=True):
    """What a terminal knows."""

    progress: bool = False
    """OSC 9;4: a bar in the tab or the task bar."""
    notification: bool = False
    """OSC 9: a notification of the desktop."""


def find_abilities(environment: Mapping[str, str]) -> Abilities:
    """Returns what the terminal knows that started a process, by the variables that it has set.

    Inside tmux and screen, which keep the variables and pass such sequences on to no terminal, it knows nothing.
    """
    if "TMUX" in environment or environment.get("TERM", "").startswith(("screen", "tmux")):
        return Abilities()
    program = environment.get("TERM_PROGRAM", "")
    progress = (
        "WT_SESSION" in environment or environment.get("ConEmuANSI") == "ON" or program in _PROGRESS_PROGRAMS
    )
    return Abilities(progress, program in _NOTIFYING_PROGRAMS or "KITTY_WINDOW_ID" in environment)


def format_progress(state: int, percent: int = 0) -> str:
    """Returns the sequence that shows how far a run is."""
    return f"\x1b]9;4;{state};{percent}{_END}"


def format_notification(text: str) -> str:
    """Returns the sequence that shows a notification. A text that begins like a number would be another sequence."""
    return f"\x1b]9;gitbatch: {clean_text(text)}{_END}"


class TerminalSignals:
    """Shows a terminal how far a run is; rings and shows notifications."""

    def __init__(self, terminal: Terminal, abilities: Abilities, *, rings: bool) -> None:
        self._terminal = terminal
        self._abilities = abilities
        self._rings = rings
        self._state = LiveState()
        self._shown = ""

    def __call__(self, event: Event) -> None:
        """Follows an event."""
        self._state = follow_event(self._state, event)
        if isinstance(event, BatchPaused):
            self._show_progress(_PAUSED)
        elif not isinstance(event, EndEvent):
            self._show_progress(_ERROR if self._state.failures else _NORMAL)

    def call_user(self, text: str) -> None:
        """Rings, and shows a text as a notification of the desktop where the terminal can."""
        if self._rings:
            note = format_notification(text) if self._abilities.notification else ""
            self._terminal.write_sequence(note + BELL)

    def close(self) -> None:
        """Takes the progress away."""
        if self._shown:
            self._shown = ""
            self._terminal.write_sequence(format_progress(_NO_PROGRESS))

    def _show_progress(self, state: int) -> None:
        if not self._abilities.progress or not self._state.items:
            return
        shown = format_progress(state, min(100, 100 * self._state.done // self._state.items))
        if shown != self._shown:
            self._shown = shown
            self._terminal.write_sequence(shown)
