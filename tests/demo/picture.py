"""The pictures in README.md, of the live view and of the review screen, from real runs of the demo in a pseudo-terminal.

`python tests/demo/picture.py` draws them again: docs/pictures/live.svg and docs/pictures/review.svg.
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from itertools import groupby
from pathlib import Path

import pexpect
import pyte

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
LIVE, REVIEW = PICTURES / "live.svg", PICTURES / "review.svg"
WIDTH, HEIGHT = 90, 16
"""Columns and rows of the terminal with the live view."""
_REVIEW_HEIGHT = 26
_LIVE_TITLE = "gitbatch run: a line for the batch, and one for each running item"
_REVIEW_TITLE = "gitbatch review: a line for each item, what is chosen, and the selected item in a pane"
_DECIDED = "rjjjajvName the leap years, too.\r"
"""What is typed at the review: a retry, an approval, and an item that is sent back with a comment."""
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
_BACKGROUND = "#1c1c1c"
_ROW = re.compile(r"^[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏!] +(T\d+) +\d:\d\d  +\S")


def draw_svg(screen: pyte.Screen, title: str = _LIVE_TITLE) -> str:
    """Returns what a terminal shows, from the line that a batch starts with, as an SVG image without scripts and without other files."""
    filled = [row for row in range(screen.lines) if screen.display[row].strip()]
    first = next((row for row in filled if screen.display[row].startswith("batch ")), 0)
    rows = [row for row in filled if row >= first]
    width, height = _MARGIN * 2 + screen.columns * _CELL, _MARGIN * 2 + len(rows) * _LINE
    texts = "".join(draw_row(screen, row, _MARGIN + place * _LINE) for place, row in enumerate(rows))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" height="{height}" '
        f'role="img"><title>{title}</title><rect width="100%" height="100%" rx="8" fill="{_BACKGROUND}"/>'
        f'<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14">{texts}</g></svg>\n'
    )


def draw_row(screen: pyte.Screen, row: int, top: float) -> str:
    """Returns the texts of a row, each with its place and its style; what is reversed has its colour behind it."""
    cells = [(column, screen.buffer[row][column]) for column in range(screen.columns)]
    found = []
    for (colour, is_bold, is_reverse), group in groupby(
        cells, key=lambda c: (c[1].fg, c[1].bold, c[1].reverse)
    ):
        part = list(group)
        text = "".join(cell.data for _, cell in part)
        fill = _COLOURS.get(colour, _COLOURS["default"])
        if is_reverse:
            left, width = _MARGIN + part[0][0] * _CELL, len(text) * _CELL
            found.append(
                f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{_LINE}" fill="{fill}"/>'
            )
            fill = _BACKGROUND
        if text.strip():
            weight = ' font-weight="bold"' if is_bold else ""
            left = _MARGIN + (part[0][0] + len(text) - len(text.lstrip())) * _CELL
            text = text.strip().replace(" ", "\N{NO-BREAK SPACE}")  # an image keeps no row of spaces
            found.append(
                f'<text x="{left:.1f}" y="{top + 14:.0f}" textLength="{len(text) * _CELL:.1f}" '
                f'fill="{fill}"{weight}>{escape(text)}</text>'
            )
    return "".join(found)


@contextmanager
def home_folder() -> Iterator[dict[str, str]]:
    """Yields the environment of a person with an empty home folder."""
    with tempfile.TemporaryDirectory() as home:
        yield {
            "HOME": home,
            "PATH": os.environ["PATH"],
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "PROMPT_TOOLKIT_NO_CPR": "1",
            **{
                f"GIT_{role}_{what}": value
                for role in ("AUTHOR", "COMMITTER")
                for what, value in (("NAME", "Ann"), ("EMAIL", "ann@example.org"))
            },
        }


def watch_command(
    environment: dict[str, str], height: int, keys: str, *arguments: str
) -> Iterator[pyte.Screen]:
    """Yields the terminal each time that a command has written something; keys are typed when it waits for some."""
    child: pexpect.spawn[str] = pexpect.spawn(
        sys.executable,
        ["-m", "gitbatch", *arguments],
        env=environment,
        encoding="utf-8",
        dimensions=(height, WIDTH),
    )
    screen = pyte.Screen(WIDTH, height)
    stream = pyte.Stream(screen)
    try:
        while True:
            stream.feed(child.read_nonblocking(65536, timeout=60))
            if keys and any("a approve" in row for row in screen.display):
                child.send(keys)
                keys = ""
            yield screen
    except pexpect.EOF:
        return
    finally:
        child.close(force=True)


def watch_demo() -> Iterator[pyte.Screen]:
    """Yields the terminal each time that the demo has written something."""
    with home_folder() as environment:
        folder = f"{environment['HOME']}/demo"
        yield from watch_command(
            environment, HEIGHT, "", "demo", folder, "--agent", "anthropic", "--progress", "live"
        )


def watch_review() -> Iterator[pyte.Screen]:
    """Yields the terminal each time that a review of the demo's batch has written something."""
    with home_folder() as environment:
        folder = f"{environment['HOME']}/demo"
        for _ in watch_command(environment, HEIGHT, "", "demo", folder):
            pass
        yield from watch_command(environment, _REVIEW_HEIGHT, _DECIDED, "review", "-C", folder)


def is_telling(screen: pyte.Screen) -> bool:
    """Whether a frame is whole, and shows several items that run and several that are done."""
    running = {found[1] for row in screen.display if (found := _ROW.match(row))}
    done = {row.split()[1] for row in screen.display if row.startswith("  succeeded T")}
    is_whole = any(f" {len(done)} of 13 items" in row and " left " in row for row in screen.display)
    return is_whole and len(running) >= 3 and len(done) >= 3 and not running & done


def is_decided(screen: pyte.Screen) -> bool:
    """Whether all that is typed at the review is shown."""
    return sum(" * " in row for row in screen.display) == 3


def main() -> None:
    """Draws the pictures."""
    PICTURES.mkdir(exist_ok=True)
    frames = (screen for _ in range(_TRIALS) for screen in watch_demo())
    LIVE.write_text(draw_svg(next(filter(is_telling, frames))), encoding="utf-8")
    review = next(filter(is_decided, watch_review()))
    REVIEW.write_text(draw_svg(review, _REVIEW_TITLE), encoding="utf-8")


if __name__ == "__main__":
    main()
