"""Times, states and tables of a report, as pieces of the page."""

import time
from collections.abc import Iterable
from itertools import accumulate

from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.batch.history.effort import format_cost
from gitbatch.batch.report.model import ReportItem
from gitbatch.limits.usage import Spent
from gitbatch.paths import quote_for_message
from gitbatch.text import display_width
from gitbatch.view.report.markup import Content, Markup, join_markup, make_element

DASH = "\N{EN DASH}"
"""Stands where there is nothing to say."""
_DECIDED = {DecisionKind.APPROVE: "good", DecisionKind.REJECT: "bad", DecisionKind.UNDO: "bad"}


def make_section(title: str, *content: Content) -> Markup:
    """Returns a section of the page under its heading."""
    return make_element("section", make_element("h2", title), *content, aria_label=title)


def make_table(caption: str, head: Iterable[str], rows: Iterable[Markup]) -> Markup:
    """Returns a table; each row comes from `make_row`."""
    cells = (make_element("th", title, scope="col") for title in head)
    return make_element(
        "table",
        make_element("caption", caption),
        make_element("thead", make_element("tr", *cells)),
        make_element("tbody", *rows),
    )


def make_row(title: Content, *cells: Markup, **attributes: str) -> Markup:
    """Returns a row of a table: its title, and its cells."""
    return make_element("tr", make_element("th", title, scope="row"), *cells, **attributes)


def make_cell(*content: Content, kind: str = "") -> Markup:
    """Returns a cell of a table; `kind`: number, id, or a state's class."""
    return make_element("td", *content, class_=kind) if kind else make_element("td", *content)


def make_list(entries: Iterable[Content]) -> Markup:
    """Returns a list; nothing if it has no entry."""
    listed = tuple(make_element("li", entry) for entry in entries)
    return make_element("ul", *listed) if listed else Markup()


def make_path(path: str) -> Markup:
    """Returns a path of the repository."""
    return make_element("code", quote_for_message(path))


def make_time(at: float) -> Markup:
    """Returns a point in time, in UTC; 0: it is not known."""
    if not at:
        return join_markup(("time unknown",))
    shown, exact = (
        time.strftime(form, time.gmtime(at)) for form in ("%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%dT%H:%M:%SZ")
    )
    return make_element("time", shown, datetime=exact)


def format_spent_cost(spent: Spent) -> str:
    """Returns a cost for people; a dash if nothing was used."""
    if spent == Spent():
        return DASH
    return "unknown" if spent.usage.cost is None else format_cost(spent)


def format_spent_tokens(spent: Spent, count: int | None = None) -> str:
    """Returns a number of tokens for people; a dash if nothing was used. `count`: those of one kind; None: all."""
    if spent == Spent():
        return DASH
    if spent.usage.is_empty or spent.usage.is_uncounted:
        return "unknown"
    return f"{spent.usage.total_tokens if count is None else count:,}"


def describe_state(item: ReportItem) -> Markup:
    """Returns the state of an item in words, and what was decided about it last."""
    if item.is_waiting:
        state = make_element("span", "done, waits for its checkpoint", class_="wait")
    elif item.status is None:
        state = make_element("span", "open", class_="muted")
    else:
        state = make_element("span", str(item.status), class_="good" if item.succeeded else "bad")
    if not item.decisions:
        return state
    last = item.decisions[-1].kind
    decided = make_element("span", last.word, class_=_DECIDED.get(last, "wait"))
    return join_markup((state, ", ", decided))


def shorten_name(name: str, columns: int) -> str:
    """Returns the beginning of a name that has room in a number of columns of a picture."""
    if display_width(name) <= columns:
        return name
    widths = accumulate(map(display_width, name))
    return f"{name[: sum(width < columns for width in widths)]}…"
