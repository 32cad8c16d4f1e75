"""The picture of the live view in README.md, from a real run of the demo in a pseudo-terminal.

`python tests/demo/picture.py` draws it again: docs/pictures/live.svg.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from html import escape
from itertools import groupby
from pathlib import Path

import pexpect
import pyte

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "live.svg"
WIDTH, HEIGHT = 90, 16
_CELL, _LINE, _MARGIN = 8.4, 18, 12
"""The columns and the rows of the picture, and its edge, in pixels."""
_TRIALS = 10
"""Runs of the demo: what runs at the same time in each is chance."""
_COLOURS = {
    "default": "#d0d0d0",
    "green": "#4ec36a",
    "red": "#f2777a",
    "brown": "#e2b93d",
    "cyan": "#4fc1d0",
    "blue": "#6ea8fe",
    "magenta": "#d39ae0",
    "brightblack": "#767676",
}
_ROW = re.compile(r"^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏!] +(T\d+) +\d:\d\d  +\S")


def draw_svg(screen: pyte.Screen) -> str:
    """Returns what a terminal shows, from the line that a batch starts with, as an SVG image without scripts and without other files."""
    filled = [row for row in range(screen.lines) if screen.display[row].strip()]
    first = next((row for row in filled if screen.display[row].startswith("batch ")), 0)
    rows = [row for row in filled if row >= first]
    width, height = _MARGIN * 2 + screen.columns * _CELL, _MARGIN * 2 + len(rows) * _LINE
    texts = "".join(draw_row(screen, row, _MARGIN + place * _LINE) for place, row in enumerate(rows))
    title = "gitbatch run: a line for the batch, and one for each running item"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}" '
        f'role="img"><title>{title}</title><rect width="100%" height="100%" rx="8" fill="#1c1c1c"/>'
        f'<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14">{texts}</g></svg>\n'
    )


def draw_row(screen: pyte.Screen, row: int, top: float) -> str:
    """Returns the texts of a row, each with its place and its style."""
    cells = [(column, screen.buffer[row][column]) for column in range(screen.columns)]
    found = []
    for (colour, is_bold), group in groupby(cells, key=lambda cell: (cell[1].fg, cell[1].bold)):
        part = list(group)
        text = "".join(cell.data for _, cell in part)
        if text.strip():
            weight = ' font-weight="bold"' if is_bold else ""
            left = _MARGIN + (part[0][0] + len(text) - len(text.lstrip())) * _CELL
            text = text.strip().replace(" ", "\N{NO-BREAK SPACE}")  # an image keeps no row of spaces
            found.append(
                f'<text x="{left:.1f}" y="{top + 14:.0f}" textLength="{len(text) * _CELL:.1f}" '
                f'fill="{_COLOURS.get(colour, _COLOURS["default"])}"{weight}>{escape(text)}</text>'
            )
    return "".join(found)


def watch_demo() -> Iterator[pyte.Screen]:
    """Yields the terminal each time that the demo has written something."""
    with tempfile.TemporaryDirectory() as home:
        person = {
            f"GIT_{role}_{what}": value
            for role in ("AUTHOR", "COMMITTER")
            for what, value in (("NAME", "Ann"), ("EMAIL", "ann@example.org"))
        }
        child: pexpect.spawn[str] = pexpect.spawn(
            sys.executable,
            ["-m", "gitbatch", "demo", f"{home}/demo", "--agent", "anthropic", "--progress", "live"],
            env={
                "HOME": home,
                "PATH": os.environ["PATH"],
                "TERM": "xterm-256color",
                "LANG": "C.UTF-8",
                **person,
            },
            encoding="utf-8",
            dimensions=(HEIGHT, WIDTH),
        )
        screen = pyte.Screen(WIDTH, HEIGHT)
        stream = pyte.Stream(screen)
        try:
            while True:
                stream.feed(child.read_nonblocking(65536, timeout=60))
                yield screen
        except pexpect.EOF:
            return
        finally:
            child.close(force=True)


def is_telling(screen: pyte.Screen) -> bool:
    """Whether a frame is whole, and shows several items that run and several that are done."""
    running = {found[1] for row in screen.display if (found := _ROW.match(row))}
    done = {row.split()[1] for row in screen.display if row.startswith("  succeeded T")}
    is_whole = any(f" {len(done)} of 13 items" in row and " left " in row for row in screen.display)
    return is_whole and len(running) >= 3 and len(done) >= 3 and not running & done


def main() -> None:
    """Draws the picture."""
    frames = (screen for _ in range(_TRIALS) for screen in watch_demo())
    screen = next(filter(is_telling, frames))
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(draw_svg(screen), encoding="utf-8")


if __name__ == "__main__":
    main()
