"""What stands inside a paragraph and hides what it holds: code spans, comments, links.

`scan` gives a mask: the text, equally long, with each such piece overwritten, so that a search of the
mask finds only what is really text. The filling characters are noncharacters, which no source may hold.
Not a full inline parser: emphasis and reference links are text here.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from enum import Enum
from itertools import groupby

from msgspec import Struct

from gitbatch.patterns import compile_later

HIDDEN = "\ufdd2"
"""Fills code spans, links and escaped characters in a mask."""
COMMENT = "\ufdd3"
"""Fills comments in a mask."""

_OPENING = compile_later(r"\\[!-/:-@\[-`{-~]|`+|<!--")
_HIDING = compile_later(r"[`\\]|<!--|\]\(")
_BACKTICKS = compile_later(r"`+")
_LABEL = r"(?:[^\[\]]|\[[^\[\]]{0,200}\]){0,500}"
_TARGET = r"<(?P<angle>[^<>\n]{0,2000})>|(?P<bare>(?:[^\s()<>]|\([^\s()]{0,200}\)){0,2000})"
_TITLE = r"(?:\s+(?:\"[^\"]{0,500}\"|'[^']{0,500}'))?"
_LINK = compile_later(rf"!?\[{_LABEL}\]\(\s*(?:{_TARGET}){_TITLE}\s*\)")


class SpanKind(Enum):
    """What a piece is."""

    CODE = "code span"
    COMMENT = "comment"
    LINK = "link"


class Piece(Struct, frozen=True):
    """A code span, comment or link: its place in the text, and what it says (a link: its target)."""

    kind: SpanKind
    start: int
    end: int
    content: str


class Inline(Struct, frozen=True, gc=False):
    """A paragraph's text with its pieces, in order, and the mask that hides them."""

    text: str
    mask: str
    pieces: tuple[Piece, ...]

    @property
    def comments(self) -> tuple[Piece, ...]:
        """The pieces that are comments."""
        return tuple(piece for piece in self.pieces if piece.kind is SpanKind.COMMENT)


def scan(text: str) -> Inline:
    """The pieces of a paragraph. Code spans and comments hide each other from the left, as in CommonMark; both hide links."""
    if not _HIDING.search(text):
        return Inline(text, text, ())
    spans = list(_spans(text))
    mask = _covered(text, ((start, end, _filler(piece)) for start, end, piece in spans))
    links = [_link(text, match) for match in _LINK.finditer(mask)] if "](" in mask else []
    mask = _covered(mask, ((link.start, link.end, HIDDEN) for link in links))
    starts = [link.start for link in links]
    ends = [0, *(link.end for link in links)]
    outside = [piece for start, _, piece in spans if piece and start >= ends[bisect_right(starts, start)]]
    return Inline(text, mask, tuple(sorted((*outside, *links), key=lambda piece: piece.start)))


def _filler(piece: Piece | None) -> str:
    return COMMENT if piece and piece.kind is SpanKind.COMMENT else HIDDEN


def _covered(text: str, spans: Iterable[tuple[int, int, str]]) -> str:
    parts: list[str] = []
    position = 0
    for start, end, filler in spans:
        parts += (text[position:start], filler * (end - start))
        position = end
    return "".join((*parts, text[position:]))


def _link(text: str, match: re.Match[str]) -> Piece:
    group = "bare" if match["angle"] is None else "angle"
    return Piece(SpanKind.LINK, match.start(), match.end(), text[slice(*match.span(group))])


def _spans(text: str) -> Iterator[tuple[int, int, Piece | None]]:
    """Code spans, comments and escapes (these without a piece), from the left."""
    closings = _backtick_runs(text)
    position, last_close = 0, text.rfind("-->")
    while match := _OPENING.search(text, position):
        start, position = match.span()
        if match[0] == "<!--":
            if start + 4 > last_close:
                continue
            end = text.index("-->", start + 4) + 3
            yield start, end, Piece(SpanKind.COMMENT, start, end, text[start + 4 : end - 3])
        elif match[0][0] == "`":
            close = _closing(closings, position, len(match[0]))
            if close is None:
                continue
            end = close + len(match[0])
            yield start, end, Piece(SpanKind.CODE, start, end, _code(text[position:close]))
        else:
            end = position
            yield start, end, None
        position = end


def _backtick_runs(text: str) -> dict[int, list[int]]:
    """Where the runs of each length start: one pass, or closing them would be quadratic."""
    runs = sorted((len(match[0]), match.start()) for match in _BACKTICKS.finditer(text))
    return {length: [start for _, start in group] for length, group in groupby(runs, key=lambda run: run[0])}


def _closing(runs: dict[int, list[int]], position: int, length: int) -> int | None:
    starts = runs.get(length, [])
    index = bisect_left(starts, position)
    return starts[index] if index < len(starts) else None


def _code(content: str) -> str:
    flat = re.sub(r"\r\n|[\r\n]", " ", content)
    stripped = flat.startswith(" ") and flat.endswith(" ") and flat.strip(" ")
    return flat[1:-1] if stripped else flat


def one_line(text: str, cuts: Iterable[tuple[int, int]], start: int = 0) -> str:
    """The text from `start` on, without some stretches and on one line."""
    parts: list[str] = []
    for left, right in sorted(cuts):
        parts.append(text[start : max(start, left)])
        start = max(start, right)
    return " ".join(" ".join((*parts, text[start:])).split())
