"""The pictures in README.md: the script has drawn them, and they show what the views show now."""

import re
import xml.etree.ElementTree as ET

import pyte
from demo.picture import LIVE, REVIEW, draw_svg

SVG = "{http://www.w3.org/2000/svg}"


def texts(picture: str) -> list[str]:
    root = ET.fromstring(picture)  # noqa: S314 - our own file
    assert {node.tag.removeprefix(SVG) for node in root.iter()} == {"svg", "title", "rect", "g", "text"}
    return [(node.text or "").replace("\N{NO-BREAK SPACE}", " ") for node in root.iter(f"{SVG}text")]


def test_terminal_is_drawn() -> None:
    screen = pyte.Screen(20, 3)
    pyte.Stream(screen).feed("\x1b[1mT1\x1b[0m <b>\r\n\r\n\x1b[31mred\x1b[7mback\x1b[0m")
    picture = draw_svg(screen)
    assert texts(picture) == ["T1", "<b>", "red", "back"]
    assert 'font-weight="bold">T1<' in picture
    assert 'fill="#f2777a">red<' in picture
    assert 'height="18" fill="#f2777a"/><text' in picture
    assert 'fill="#1c1c1c">back<' in picture


def test_picture_has_the_rows_of_the_live_view() -> None:
    shown = texts(LIVE.read_text(encoding="utf-8"))
    assert any("of 13 items" in text for text in shown)
    assert any("left" in text for text in shown)
    assert sum(text.startswith(("T1", "T2")) for text in shown) >= 3


def test_picture_has_the_parts_of_the_review_screen() -> None:
    shown = texts(REVIEW.read_text(encoding="utf-8"))
    assert shown[0].startswith("3 groups up to checkpoint 3/3: ")
    marks = [mark for text in shown for mark in re.findall(r"\* (?:retried|approved|sent back)", text)]
    assert marks == ["* retried", "* approved", "* sent back"]
    assert any(text.startswith("a approve  A the rest") for text in shown)
