"""The views of a run by name. A new view is one new file and one line here."""

import sys
from enum import StrEnum
from typing import Annotated, Protocol

import typer

from gitbatch.batch.events import Event
from gitbatch.cli.common import make_page, use_utf_8
from gitbatch.cli.lazy import find_attribute
from gitbatch.cli.verbosity import is_quiet, is_verbose
from gitbatch.errors import UsageError
from gitbatch.view.page import PlainPage

VIEWS = {
    "json": "gitbatch.view.jsonlines:JsonLines",
    "plain": "gitbatch.view.plain:PlainView",
    "live": "gitbatch.view.live:LiveView",
    "none": "gitbatch.view.brief:BriefView",
    "quiet": "gitbatch.view.brief:QuietView",
    "verbose": "gitbatch.view.plain:VerboseView",
}
"""Imported when used: the live view needs rich."""


class EventView(Protocol):
    """Shows events."""

    def __call__(self, event: Event) -> None:
        """Shows an event."""
        ...

    def close(self) -> None:
        """Ends what is redrawn on the screen."""
        ...


class ProgressKind(StrEnum):
    """What is shown while items run."""

    AUTO = "auto"
    PLAIN = "plain"
    LIVE = "live"
    NONE = "none"


Progress = Annotated[
    ProgressKind,
    typer.Option(
        help="While items run: lines (plain), a part of the screen that is redrawn (live), or nothing (none)."
    ),
]


def make_view(*, json: bool, progress: ProgressKind = ProgressKind.AUTO) -> EventView:
    """Returns the view for programs, or the one that the options name, else the best that standard output can show.

    Raises:
        UsageError: the live view needs a terminal.
    """
    if json:
        use_utf_8()
        return load_view("json", sys.stdout)
    page = make_page()
    can_move = not isinstance(page, PlainPage) and page.can_move
    if progress is ProgressKind.LIVE and not can_move:
        raise UsageError("--progress live needs a terminal", "use --progress auto or plain")
    return load_view(_choose_name(progress, can_move=can_move), page)


def _choose_name(progress: ProgressKind, *, can_move: bool) -> str:
    if is_quiet():
        return "quiet"
    if progress is ProgressKind.NONE:
        return "none"
    if progress is ProgressKind.LIVE or (progress is ProgressKind.AUTO and can_move and not is_verbose()):
        return "live"
    return "verbose" if is_verbose() else "plain"


def load_view(name: str, output: object) -> EventView:
    """Returns the view with a name, which shows events on an output."""
    view: EventView = find_attribute(VIEWS[name])(output)
    return view
