"""Sequences for terminals: which terminal gets which, and what a run shows by them."""

from collections.abc import Mapping
from io import StringIO

import pytest
from msgspec.structs import replace
from rich.console import Console
from view.events import BROKE, EVENTS, WROTE

from gitbatch.batch.events import BatchFinished, BatchPaused, BatchStarted, Event, ItemFinished, Notice
from gitbatch.view.signals import Abilities, TerminalSignals, find_abilities
from gitbatch.view.terminal import Terminal

END = "\x1b\\"


@pytest.mark.parametrize(
    ("environment", "progress", "notification"),
    [
        ({}, False, False),
        ({"TERM": "xterm-256color"}, False, False),
        ({"TERM_PROGRAM": "Apple_Terminal"}, False, False),
        ({"WT_SESSION": "1"}, True, False),
        ({"ConEmuANSI": "ON"}, True, False),
        ({"ConEmuANSI": "OFF"}, False, False),
        ({"TERM_PROGRAM": "ghostty"}, True, True),
        ({"TERM_PROGRAM": "WezTerm"}, True, True),
        ({"TERM_PROGRAM": "iTerm.app"}, False, True),
        ({"KITTY_WINDOW_ID": "1"}, False, True),
        ({"TERM_PROGRAM": "ghostty", "TMUX": "socket"}, False, False),
        ({"WT_SESSION": "1", "TERM": "screen-256color"}, False, False),
    ],
)
def test_abilities(environment: Mapping[str, str], *, progress: bool, notification: bool) -> None:
    assert find_abilities(environment) == Abilities(progress, notification)


def follow(*events: Event, abilities: Abilities) -> str:
    written = StringIO()
    signals = TerminalSignals(Terminal(Console(file=written)), abilities, rings=True)
    for event in events:
        signals(event)
    signals.close()
    return written.getvalue()


def start(items: int) -> BatchStarted:
    event = next(event for event, _ in EVENTS if isinstance(event, BatchStarted))
    return replace(event, items=items)


def test_progress_is_shown_once_each_and_taken_away() -> None:
    done = ItemFinished(batch="b", outcome=WROTE)
    failed = ItemFinished(batch="b", outcome=replace(BROKE, item=replace(BROKE.item, slug="1-t2")))
    events = (start(4), Notice(batch="b", text="x"), done, failed, BatchPaused(batch="b", next_group=""))
    shown = follow(*events, abilities=Abilities(progress=True))
    assert shown == "".join(f"\x1b]9;4;{each}{END}" for each in ("1;0", "1;25", "2;50", "4;50", "0;0"))


@pytest.mark.parametrize("abilities", [Abilities(), Abilities(progress=True)])
def test_nothing_is_shown_of_a_run_without_items_or_progress(abilities: Abilities) -> None:
    items = 0 if abilities.progress else 4
    assert follow(start(items), BatchFinished(batch="b", succeeded=0, failed=0), abilities=abilities) == ""


@pytest.mark.parametrize(
    ("abilities", "rings", "written"),
    [
        (Abilities(), True, "\a"),
        (Abilities(notification=True), True, f"\x1b]9;gitbatch: 4;1 x{END}\a"),
        (Abilities(notification=True), False, ""),
    ],
)
def test_call(abilities: Abilities, written: str, *, rings: bool) -> None:
    """A notification cannot end its sequence, nor be taken for progress."""
    output = StringIO()
    TerminalSignals(Terminal(Console(file=output)), abilities, rings=rings).call_user("4;1\a\x1b\\ x")
    assert output.getvalue() == written
