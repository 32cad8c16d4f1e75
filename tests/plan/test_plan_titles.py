"""Titles: the same, nearly the same, as a file name."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitbatch.plan.model import TITLES_DOD, TITLES_WORK
from gitbatch.plan.spelling import distance, nearest
from gitbatch.plan.titles import MAX_SLUG, matches, normalise, slugify, suggestion


@pytest.mark.parametrize(
    "title",
    [
        "Arbeitspakete",
        "ARBEITSPAKETE",
        "**Arbeitspakete**",
        "7. Arbeitspakete:",
        "7) Arbeitspakete",
        "1.2 Arbeitspakete",
        "1.2. Arbeitspakete",
        "3 \u2013 Arbeitspakete",
        "3.1 - Arbeitspakete",
        "📦 Arbeitspakete",
        "1️⃣ Arbeitspakete",
        "📦 3. _Arbeitspakete_ (E im Masterplan):",
        "Arbeitspakete (a) (b)",
        "Arbeitspakete (a (b) c): ",
        "Arbeitspakete <!-- sequential -->",
        "<!-- x -->Arbeitspakete",
        "\uff21rbeitspakete",
        "`Work`  ~~Packages~~",
        "Work\u00a0Items",
    ],
)
def test_titles_that_are_taken(title: str) -> None:
    assert matches(title, TITLES_WORK)
    assert suggestion(title, TITLES_WORK) is None


@pytest.mark.parametrize(
    ("title", "meant"),
    [
        ("Arbeitspakete ab jetzt", "Arbeitspakete"),
        ("7. Arbeitspakete und Reihenfolge", "Arbeitspakete"),
        ("Übersicht der Arbeitspakete", "Arbeitspakete"),
        ("Arbeitspackete", "Arbeitspakete"),
        ("Arbeitspackette", "Arbeitspakete"),
        ("Work Package", "Work Packages"),
        ("Work Itmes", "Work Items"),
        ("Unsere Work Items", "Work Items"),
    ],
)
def test_titles_that_are_suggested_and_never_taken(title: str, meant: str) -> None:
    assert not matches(title, TITLES_WORK)
    assert suggestion(title, TITLES_WORK) == meant


@pytest.mark.parametrize(
    "title",
    ["", "Arbeit", "Pakete", "Work", "Arbeitspaketeübersicht", "Network Items", "2024"],
)
def test_titles_that_are_something_else(title: str) -> None:
    assert not matches(title, TITLES_WORK)
    assert suggestion(title, TITLES_WORK) is None


@pytest.mark.parametrize("title", ["Work Items)", "Work Items) (a)", "(Work Items)", "Work Items ((a)"])
def test_brackets_that_do_not_fit_are_part_of_the_title(title: str) -> None:
    assert not matches(title, TITLES_WORK)


def test_a_short_title_is_not_guessed_from_typing_errors() -> None:
    assert suggestion("Dog", TITLES_DOD) is None
    assert suggestion("DoD der Phase", TITLES_DOD) == "DoD"
    assert suggestion("Tsaks", ("Tasks",)) == "Tasks"
    assert suggestion("Tsakss", ("Tasks",)) is None


@given(st.text(max_size=30))
def test_a_normalised_title_is_the_same_title(title: str) -> None:
    name = normalise(title)
    assert not name or matches(name, [title])


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("WP1 — Größe prüfen", "wp1-groesse-pruefen"),
        ("Stra\u00dfe / A\u0308rger", "strasse-aerger"),
        ("[Plan](docs/plan.md) lesen", "plan-lesen"),
        ("`docs/a.md` & **b**", "docs-a-md-b"),
        ("Ærø, Łódź, naïve", "aeroe-lodz-naive"),
        ("a <!-- note --> b", "a-b"),
        ("a <!-- open", "a-open"),
        ("", "untitled"),
        (" \t", "untitled"),
        ("x" * 60, "x" * MAX_SLUG),
        ("eins zwei drei vier fünf sechs sieben acht neun", "eins-zwei-drei-vier-fuenf-sechs-sieben"),
        ("登录", "x-1e2df9c3"),
    ],
)
def test_slugs(text: str, slug: str) -> None:
    assert slugify(text) == slug


@given(st.text())
def test_a_slug_is_always_a_file_name(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slugify(text))
    assert len(slugify(text)) <= MAX_SLUG


def test_titles_in_other_scripts_have_different_slugs() -> None:
    assert slugify("登录") != slugify("注册")


@pytest.mark.parametrize(
    ("left", "right", "edits"),
    [
        ("", "", 0),
        ("ab", "ba", 1),
        ("abc", "", 3),
        ("kontext", "kontxt", 1),
        ("ouptut", "output", 1),
        ("nach", "nacht", 1),
        ("ab", "cd", 2),
    ],
)
def test_edits_between_two_words(left: str, right: str, edits: int) -> None:
    assert distance(left, right) == distance(right, left) == edits


def test_the_nearest_word() -> None:
    assert nearest("CONTXT", ("Context", "Kontext"), 1) == "Context"
    assert nearest("kontxt", ("Context", "Kontext"), 2) == "Kontext"
    assert nearest("word", ("Context", "Kontext"), 1) is None


@pytest.mark.parametrize(
    ("title", "other", "same"), [("2.", "2.", True), ("1.", "2.", False), ("🚀", "1)", False)]
)
def test_titles_without_a_word_are_compared_as_they_are(title: str, other: str, same: bool) -> None:  # noqa: FBT001
    assert matches(title, (other,)) is same
