"""The picture in README.md: it is one that the script has drawn, and it shows what the live view shows now."""

import xml.etree.ElementTree as ET

import pyte
from demo.picture import PICTURE, draw_svg

SVG = "{http://www.w3.org/2000/svg}"


def texts(picture: str) -> list[str]:
    root = ET.fromstring(picture)  # noqa: S314 - our own file
    assert {node.tag.removeprefix(SVG) for node in root.iter()} == {"svg", "title", "rect", "g", "text"}
    return [(node.text or "").replace("\N{NO-BREAK SPACE}", " ") for node in root.iter(f"{SVG}text")]


def test_terminal_is_drawn() -> None:
    screen = pyte.Screen(20, 3)
    pyte.Stream(screen).feed("\x1b[1mT1\x1b[0m <b>\r\n\r\n\x1b[31mred\x1b[0m")
    picture = draw_svg(screen)
    assert texts(picture) == ["T1", "<b>", "red"]
    assert 'font-weight="bold">T1<' in picture
    assert 'fill="#f2777a">red<' in picture


def test_picture_has_the_rows_of_the_live_view() -> None:
    shown = texts(PICTURE.read_text(encoding="utf-8"))
    assert any("of 13 items" in text for text in shown)
    assert any("left" in text for text in shown)
    assert sum(text.startswith(("T1", "T2")) for text in shown) >= 3
