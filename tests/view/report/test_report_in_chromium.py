"""The page of a report in a real browser, where one is installed: what it loads, reports, reads out and takes.

`nox -s browser` runs it.
"""

import base64
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from test_text import HOSTILE
from view.report.chromium import Browser, run_browser
from view.report.sample_reports import make_large_report, make_report
from view.report.test_markup import ATTACKS, Reader

from gitbatch.view.report.page import render_report

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="Chromium is not installed")

ELEMENTS = "Array.from(document.querySelectorAll('*'), e => e.tagName.toLowerCase())"
NAMED = frozenset({"link", "table", "image", "group", "region", "heading"})
"""The roles that a screen reader announces by their names."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with run_browser(PROGRAM or "", tmp_path_factory.mktemp("profile")) as started:
        yield started


@pytest.fixture
def browser(running: Browser) -> Browser:
    """A browser with an empty page."""
    running.open_page()
    return running


def test_no_text_makes_an_element_in_a_browser(browser: Browser, tmp_path: Path) -> None:
    """All hostile texts on one page: the browser's elements are those that the page was written with."""
    texts = [*filter(None, HOSTILE), *ATTACKS]
    report = make_report()
    groups = tuple(
        replace(group, number=number, title=text, checkpoints=group.checkpoints if number == 1 else ())
        for number, text in enumerate(texts, 1)
        for group in make_report(text, groups=2, items=2).groups[1:]
    )
    page = render_report(replace(report, groups=groups))
    file = tmp_path / "report.html"
    file.write_text(page, encoding="utf-8")
    browser.show_file(file)
    written = Counter(tag for tag, _ in Reader(page).elements)
    assert Counter(browser.evaluate(ELEMENTS)) == written
    assert browser.evaluate("document.scripts.length + document.images.length") == 0
    assert_quiet(browser, file)


def assert_quiet(browser: Browser, file: Path) -> None:
    """The browser has asked for nothing but the page, and reports neither an error nor a violation of its policy."""
    asked = [
        e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"
    ]
    assert set(asked) == {file.as_uri()}
    told = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")
    assert [event for event in browser.events if event["method"] in told] == []


def test_a_thousand_items(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(render_report(make_large_report()), encoding="utf-8")
    assert file.stat().st_size < 2_000_000
    browser.send("Performance.enable")
    browser.show_file(file)
    metrics = browser.send("Performance.getMetrics")["metrics"]
    spent = {metric["name"]: metric["value"] for metric in metrics}["ProcessTime"]
    assert 0 < spent < 2, "seconds of a processor, for the whole of the page's process"
    assert_quiet(browser, file)


def test_names_for_screen_readers(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(render_report(make_report()), encoding="utf-8")
    browser.show_file(file)
    nodes = browser.send("Accessibility.getFullAXTree")["nodes"]
    shown = [node for node in nodes if not node["ignored"]]
    roles = Counter(node["role"]["value"] for node in shown)
    assert roles["table"] >= 7
    assert roles["image"] == 4
    assert roles["region"] == 8
    assert {"banner", "main", "contentinfo"} <= roles.keys()
    unnamed = [n for n in shown if n["role"]["value"] in NAMED and not n.get("name", {}).get("value")]
    assert unnamed == []
    names = {node["name"]["value"] for node in shown if node["role"]["value"] == "table"}
    assert "Items of group 1" in names


@pytest.mark.parametrize(
    ("scheme", "media", "dark"), [("light", "", False), ("dark", "", True), ("dark", "print", False)]
)
def test_light_dark_and_paper(
    browser: Browser, tmp_path: Path, scheme: str, media: str, *, dark: bool
) -> None:
    file = tmp_path / "report.html"
    file.write_text(render_report(make_report()), encoding="utf-8")
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.send("Emulation.setEmulatedMedia", media=media, features=[feature])
    browser.show_file(file)
    colour = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, colour[4:-1].split(","))) < 200) is dark
    assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it scrolls sideways"
    picture = base64.b64decode(browser.send("Page.captureScreenshot")["data"])
    assert picture.startswith(b"\x89PNG")
    printed = base64.b64decode(browser.send("Page.printToPDF")["data"])
    assert printed.startswith(b"%PDF")
