"""The views of a run by name. A new view is one new file and one line here."""

import sys
from pkgutil import resolve_name
from typing import Protocol

from gitbatch.batch.events import Event
from gitbatch.cli.common import make_page
from gitbatch.view.page import PlainPage

VIEWS = {
    "json": "gitbatch.view.jsonlines:JsonLines",
    "plain": "gitbatch.view.plain:PlainView",
    "live": "gitbatch.view.live:LiveView",
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


def make_view(*, json: bool) -> EventView:
    """Returns the view for programs, or the best one that standard output can show."""
    if json:
        return load_view("json", sys.stdout)
    page = make_page()
    is_plain = isinstance(page, PlainPage) or not page.can_move
    return load_view("plain" if is_plain else "live", page)


def load_view(name: str, output: object) -> EventView:
    """Returns the view with a name, which shows events on an output."""
    view: EventView = resolve_name(VIEWS[name])(output)
    return view
