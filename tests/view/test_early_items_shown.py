"""What people see of items that start before their group: lines, rows, status, log, report."""

from io import StringIO
from pathlib import Path

import pytest
from msgspec.structs import replace
from view.events import EVENTS, ITEM, WROTE
from view.report.sample_reports import make_report
from view.report.test_markup import Reader
from view.test_batch_state import DONE, LEFT, STATE, head_and_rows
from view.test_screen import NOW, drawn

from gitbatch.batch.event_log import open_log
from gitbatch.batch.events import Event, GroupStarted, ItemFinished, ItemStarted, encode_event
from gitbatch.batch.history.activity import read_activity
from gitbatch.batch.history.item_details import ItemDetails
from gitbatch.batch.history.item_log import read_item_log
from gitbatch.plan.model import ItemKey
from gitbatch.repo.holder import Holder
from gitbatch.text import clean_text
from gitbatch.view.batch_state import add_activity
from gitbatch.view.block import StyledLine, plain_text
from gitbatch.view.item_page import render_item_page
from gitbatch.view.live_state import LiveState, RunningItem, follow_event
from gitbatch.view.page import PlainPage
from gitbatch.view.plain import PlainView
from gitbatch.view.report.page import render_report

STARTED = next(event for event, _ in EVENTS if isinstance(event, ItemStarted))
EARLY = replace(STARTED, group=2, attempt=1, missing=(), early=True, at=NOW)


def follow(*events: Event) -> LiveState:
    state = LiveState(items=3)
    for event in events:
        state = follow_event(state, event)
    return state


@pytest.mark.rule("F2")
def test_the_line_and_the_row_of_an_early_item() -> None:
    stream = StringIO()
    PlainView(PlainPage(stream))(EARLY)
    assert stream.getvalue() == "  start     T1 → out/a.md (writer, early: of group 2)\n"
    state = follow(EARLY)
    assert dict(state.running) == {ITEM.key: RunningItem("T1", NOW, heard=NOW, is_early=True)}
    assert "early" in drawn(state)[1]
    assert "early" not in drawn(follow(replace(EARLY, early=False)))[1]


def test_an_early_item_counts_once_when_its_group_begins() -> None:
    """One of an earlier process counts too."""
    begun = GroupStarted(
        batch="b",
        position=1,
        of=2,
        group=ITEM.group,
        title="Two",
        items=(),
        already=(ITEM.output, "out/b.md"),
    )
    assert follow(EARLY, ItemFinished(batch="b", outcome=WROTE)).done == 1
    assert follow(EARLY, ItemFinished(batch="b", outcome=WROTE), begun).done == 2


def test_status_and_log_of_an_early_item(tmp_path: Path) -> None:
    event = replace(EARLY, slug=LEFT.slug)
    with open_log(tmp_path, "b") as log:
        log.write(f"{encode_event(event)}\n")
    shown = add_activity(STATE, Holder("/r", 1, "u", "h", 0.0), read_activity(tmp_path, "b", 0.0))
    assert shown.items[1].early
    assert [row[1] for row in head_and_rows(replace(shown, process=None))[1]] == [
        "succeeded",
        "running, started early",
    ]
    (line,) = read_item_log(tmp_path, "b", ItemKey(LEFT.slug))
    assert line.text == "attempt 1 starts, before its group (agent writer)"


def test_an_item_in_full_says_that_it_started_early() -> None:
    details = ItemDetails(
        clean_text("T1 Write"), commit="1" * 40, base="2" * 40, is_finished=True, is_early=True
    )
    said = [
        plain_text(p.parts) for p in render_item_page("b", DONE, details, ()) if isinstance(p, StyledLine)
    ]
    assert "started before its group" in said
    late = render_item_page("b", DONE, replace(details, is_early=False), ())
    assert "started before its group" not in [plain_text(p.parts) for p in late if isinstance(p, StyledLine)]


def test_a_report_says_which_items_started_early() -> None:
    report = make_report()
    group = report.groups[1]
    items = tuple(replace(item, is_early=at == 0) for at, item in enumerate(group.items))
    early = replace(group, items=items)
    assert early.began > group.began > 0
    page = Reader(render_report(replace(report, groups=(report.groups[0], early))))
    assert "started before its group" in page.text
    assert "started before its group" not in Reader(render_report(report)).text
