"""The timeline of a report as pictures: when each item worked and waited, and how long each checkpoint stood.

git has the time of each commit, and what an item took and waited. An item's bar ends at its commit and is as long as
both together, the waits first. Of an item without a commit the time of day is unknown: a cross stands at its checkpoint.
"""

from collections.abc import Iterator

from msgspec import Struct

from gitbatch.batch.report.model import BatchReport, ReportGroup, ReportItem
from gitbatch.text import format_count, format_seconds
from gitbatch.view.report.markup import Markup, join_markup, make_element
from gitbatch.view.report.words import make_section, shorten_name

_ROW = 18.0
_NAMES = 170.0
"""The width of the column of names."""
_WIDTH = 1080.0
_TICKS = 5
_LONGEST_NAME = 24
_LEAST = 2.0
"""The width of the shortest bar."""
_LEGEND = (
    "Times since the start of the batch. A bar ends at the item's commit and is as long as its attempts took, with what it "
    "waited for a server or for other items first, which may be before its group began; a cross is an item that did not succeed, at its checkpoint. The last "
    "row of a group is its checkpoint, until the next group began."
)


class _Scale(Struct, frozen=True):
    """Seconds since the epoch as positions on the picture."""

    first: float
    last: float

    def position_of(self, at: float) -> float:
        """Returns the distance of a time from the left."""
        part = (min(max(at, self.first), self.last) - self.first) / max(self.last - self.first, 1.0)
        return round(_NAMES + part * (_WIDTH - _NAMES), 1)


def render_timeline(report: BatchReport) -> Markup:
    """Returns the section of the timeline, one picture for each group that has begun."""
    times = [report.started, *(commit.at for commit in report.commits)]
    times += [at for item in report.items if item.commit for at in (item.began, item.commit.at)]
    known = [at for at in times if at]
    scale = _Scale(min(known), max(known))
    begun = [group for group in report.groups if group.checkpoints or group.began]
    if not begun:
        return make_section("Timeline", make_element("p", "Nothing has ended yet.", class_="muted"))
    afterwards = [group.began for group in begun[1:]]
    pictures = (
        make_element(
            "figure",
            _draw_group(group, scale, later),
            make_element("figcaption", f"{group.number}. {group.title}"),
            tabindex="0",
            role="group",
            aria_label=f"Timeline of group {group.number}",
        )
        for group, later in zip(begun, (*afterwards, 0.0), strict=True)
    )
    return make_section("Timeline", make_element("p", _LEGEND, class_="muted"), *pictures)


def _draw_group(group: ReportGroup, scale: _Scale, later: float) -> Markup:
    """Draws a group. `later`: when the next group began; 0: unknown, or it is the last one."""
    rows = len(group.items) + len(group.checkpoints)
    height = _ROW * (rows + 1) + 4
    failed = sum(item.is_failure for item in group.items)
    said = f"{format_count(len(group.items), 'item')} of {group.title}, {failed} of them failed"
    return make_element(
        "svg",
        make_element("title", said),
        *_draw_axis(scale, height),
        *(part for at, item in enumerate(group.items, 1) for part in _draw_item(item, group, scale, at)),
        *_draw_checkpoints(group, scale, later),
        role="img",
        aria_label=said,
        viewBox=f"0 0 {_WIDTH + 10:g} {height:g}",
        width=_WIDTH + 10,
        height=height,
    )


def _draw_axis(scale: _Scale, height: float) -> Iterator[Markup]:
    span = scale.last - scale.first
    for tick in range(_TICKS):
        at = scale.first + span * tick / _TICKS
        x = scale.position_of(at)
        yield make_element("line", x1=x, x2=x, y1=0.0, y2=height)
        yield make_element("text", format_seconds(at - scale.first), x=x + 4, y=12.0, class_="muted")


def _draw_item(item: ReportItem, group: ReportGroup, scale: _Scale, row: int) -> Iterator[Markup]:
    top = row * _ROW
    yield make_element("text", shorten_name(item.item.name, _LONGEST_NAME), x=0.0, y=top + 13)
    took = f"{item.item.name}: worked {format_seconds(item.seconds)}"
    if item.commit:
        began, worked = scale.position_of(item.began), scale.position_of(item.began + item.waited)
        if round(item.waited, 1):
            yield _draw_bar((began, worked), top, "wait", f"waited {format_seconds(item.waited)}")
        yield _draw_bar((worked, scale.position_of(item.commit.at)), top, _kind_of(item), took)
    elif item.is_failure and group.checkpoints:
        x = scale.position_of(group.checkpoints[0].commit.at)
        said = make_element("title", f"{item.item.name}: {item.status}")
        mark = join_markup((said, "\N{MULTIPLICATION SIGN}"))
        yield make_element("text", mark, x=x, y=top + 14, class_="bad", text_anchor="middle")


def _draw_checkpoints(group: ReportGroup, scale: _Scale, later: float) -> Iterator[Markup]:
    for at, checkpoint in enumerate(group.checkpoints, len(group.items) + 1):
        top, x = at * _ROW, scale.position_of(checkpoint.commit.at)
        number, _ = checkpoint.position
        revision = f", revision {checkpoint.revision}" if checkpoint.revision else ""
        yield make_element("text", f"checkpoint {number}{revision}", x=0.0, y=top + 13, class_="muted")
        if later > checkpoint.commit.at:
            waited = f"{format_seconds(later - checkpoint.commit.at)} until the next group began"
            yield _draw_bar((x, scale.position_of(later)), top, "pause", waited)
        yield make_element("rect", x=x - 1, y=top + 3, width=3.0, height=_ROW - 6, class_="mark")


def _draw_bar(ends: tuple[float, float], top: float, kind: str, said: str) -> Markup:
    start, end = ends
    width = max(end - start, _LEAST)
    title = make_element("title", said)
    return make_element("rect", title, x=start, y=top + 4, width=width, height=_ROW - 8, rx=2.0, class_=kind)


def _kind_of(item: ReportItem) -> str:
    return "bad" if item.is_failure else "good"
