"""Views by name."""

from io import StringIO

import pytest

from gitbatch.cli.views import VIEWS, load_view, make_view
from gitbatch.view.brief import BriefView, QuietView
from gitbatch.view.jsonlines import JsonLines
from gitbatch.view.live import LiveView
from gitbatch.view.page import PlainPage
from gitbatch.view.plain import PlainView, VerboseView
from gitbatch.view.terminal import Terminal

OUTPUTS = {"json": StringIO(), "live": Terminal()}
KINDS = {
    "json": JsonLines,
    "plain": PlainView,
    "live": LiveView,
    "none": BriefView,
    "quiet": QuietView,
    "verbose": VerboseView,
}


@pytest.mark.parametrize("name", VIEWS)
def test_every_name_loads(name: str) -> None:
    assert type(load_view(name, OUTPUTS.get(name, PlainPage(StringIO())))) is KINDS[name]


@pytest.mark.parametrize(("json", "kind"), [(True, JsonLines), (False, PlainView)])
def test_without_a_terminal(*, json: bool, kind: type) -> None:
    assert isinstance(make_view(json=json), kind)
