"""The page of a report: whatever the texts of a batch are, the elements of the page stay the same."""

import re
from collections import Counter
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace
from test_text import HOSTILE
from view.report.sample_reports import make_large_report, make_report
from view.report.test_markup import ATTACKS, Reader

from gitbatch.limits.usage import Spent, Usage
from gitbatch.view.report.page import DOCTYPE, POLICY, is_report, render_report
from gitbatch.view.report.words import DASH, format_spent_tokens, make_time, shorten_name

PLAIN = Reader(render_report(make_report("plain")))


def outline(page: Reader) -> list[tuple[str, tuple[str, ...]]]:
    """Returns the elements of a page with the names of their attributes."""
    return [(tag, tuple(name for name, _ in attributes)) for tag, attributes in page.elements]


SMALL = outline(Reader(render_report(make_report("plain", groups=2, items=2))))


@pytest.mark.parametrize("said", [*filter(None, HOSTILE), *ATTACKS])
@pytest.mark.sample(40)  # of all of them, test_markup shows that they stay texts
def test_no_text_makes_an_element(said: str) -> None:
    """Neither by an HTML parser nor by an XML parser, which allows nothing that is not well-formed."""
    page = render_report(make_report(said, groups=2, items=2))
    assert outline(Reader(page)) == SMALL
    root = ET.fromstring(page.removeprefix(DOCTYPE))  # noqa: S314 - our own page
    assert [element.tag for element in root.iter()] == [tag for tag, _ in SMALL]


def test_page_loads_and_runs_nothing() -> None:
    tags = Counter(tag for tag, _ in PLAIN.elements)
    assert not tags.keys() & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "base",
        "form",
        "use",
        "image",
    }
    attributes = [pair for _, attributes in PLAIN.elements for pair in attributes]
    assert ("content", POLICY) in attributes
    assert POLICY == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert not [name for name, _ in attributes if name.startswith("on") or name in {"style", "src", "action"}]
    assert "url(" not in PLAIN.text
    assert "@import" not in PLAIN.text


def test_links_lead_to_commits_of_the_page() -> None:
    links = [
        value or "" for tag, attrs in PLAIN.elements if tag == "a" for name, value in attrs if name == "href"
    ]
    ids = [value for _, attrs in PLAIN.elements for name, value in attrs if name == "id"]
    assert len(links) > 12
    assert all(re.fullmatch("#[0-9a-f]{40}", link) for link in links)
    assert {link[1:] for link in links} <= set(ids)
    assert len(ids) == len(set(ids))


def test_every_part_is_there() -> None:
    page = Reader(render_report(make_report("The text.")))
    titles = [dict(attributes)["aria-label"] for tag, attributes in page.elements if tag == "section"]
    assert titles == [
        *("Failures", "Timeline", "Groups", "Decisions", "Definition of Done", "Costs", "Context", "Commits")
    ]
    for said in (
        *("checkpoint 1/3, revision 1: 1 done", "red before this group already", "sent back", "$0.1125"),
        *(
            "waited 3.0 s",
            "git show refs/gitbatch/The text.",
            "Attempt 1 after 1.0 s",
            "9 of 12 items done, 3 not",
        ),
        *(
            "named by no item",
            "18 reads",
            "until the next group began",
            "earlier version: 00000",
            "agent's decision: The text.",
        ),
    ):
        assert said in page.text, said


def test_empty_batch() -> None:
    """Before its first item has ended, a batch has a report, too."""
    report = make_report()
    groups = tuple(
        replace(group, checkpoints=(), items=tuple(type(item)(item=item.item) for item in group.items))
        for group in report.groups
    )
    page = Reader(
        render_report(
            replace(report, groups=groups, reviews=(), criteria=(), models=(), commits=(), ended=False)
        )
    )
    for said in (
        "Nothing has ended yet.",
        "Nothing was decided",
        "no Definition of Done",
        "No item has read a file.",
    ):
        assert said in page.text
    assert "Failures" not in page.text


def test_open_item_of_a_group_that_has_begun() -> None:
    report = make_report()
    first = report.groups[0]
    waiting = replace(first.items[0], is_waiting=True, decisions=())
    still = replace(first.items[-1], status=None)
    group = replace(first, items=(waiting, still), checkpoints=())
    page = Reader(render_report(replace(report, groups=(group,))))
    assert "done, waits for its checkpoint" in page.text
    assert "This group has no checkpoint yet." in page.text
    assert "open" in page.text


def test_large_batch_has_a_graph_of_its_groups() -> None:
    page = render_report(make_large_report())
    assert len(page.encode()) < 2_000_000
    read = Reader(page)
    assert "The groups whose outputs others read" in read.text
    assert "2,673 reads" in read.text
    assert "… and" not in read.text


def test_what_is_unknown_is_not_zero() -> None:
    report = make_report()
    items = tuple(replace(item, spent=Spent(Usage(), 0, 1)) for item in report.groups[0].items)
    group = replace(report.groups[0], items=items)
    (row,) = re.findall("All groups.*?</tr>", render_report(replace(report, groups=(group,))))
    assert re.findall("<td[^>]*>([^<]*)", row) == ["4", *["unknown"] * 6]
    used = Usage(input=7, requests=1, cost=0.5)
    assert [format_spent_tokens(Spent(used, 1), count) for count in (None, 0)] == ["7", "0"]
    assert format_spent_tokens(Spent()) == DASH
    assert make_time(0.0) == "time unknown"


def test_names_are_shortened_by_columns() -> None:
    assert shorten_name("a" * 10, 10) == "a" * 10
    assert shorten_name("a" * 11, 10) == "a" * 9 + "…"
    assert shorten_name("\N{HIRAGANA LETTER A}" * 6, 10) == "\N{HIRAGANA LETTER A}" * 4 + "…"


def test_a_report_is_recognised() -> None:
    assert is_report(render_report(make_report())[:1000])
    assert not is_report("<!DOCTYPE html>\n<html></html>")
