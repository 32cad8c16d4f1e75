"""Numbers for people: widths, counts, sizes and times."""

import pytest

from gitbatch.text import display_width, format_count, format_seconds, format_size


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", 0),
        ("abc", 3),
        ("Prüfen", 6),
        ("u\u0308", 1),
        ("漢字", 4),
        ("\uff46", 2),
        ("🙂!", 3),
        ("\u20dda", 1),
    ],
)
def test_display_width(text: str, columns: int) -> None:
    assert display_width(text) == columns


@pytest.mark.parametrize(
    ("count", "noun", "plural", "expected"),
    [
        (0, "item", "", "0 items"),
        (1, "item", "", "1 item"),
        (1200, "item", "", "1,200 items"),
        (1, "entry", "entries", "1 entry"),
        (2, "entry", "entries", "2 entries"),
    ],
)
def test_counts(count: int, noun: str, plural: str, expected: str) -> None:
    assert format_count(count, noun, plural) == expected


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0.0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (7200, "2 h"),
        (7265, "2 h 1 min"),
    ],
)
def test_seconds_for_people(seconds: float, shown: str) -> None:
    assert format_seconds(seconds) == shown


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (3 * 1024**2, "3.0 MiB"),
        (5 * 1024**3, "5.0 GiB"),
        (1024**5, "1024.0 TiB"),
    ],
)
def test_sizes(size: int, shown: str) -> None:
    assert format_size(size) == shown
