"""Marks in the text that survive block parsing, so that what the parser found can be traced to its place.

mistune's tokens have no positions. Before everything that may be a box, and behind the opening of every
comment, we put a pair of noncharacters with a number between them (`U+FDD0 7 U+FDD1`); the token in which
number 7 turns up says what the parser took it for. Marks change no block structure, and a source that
holds noncharacters itself is refused beforehand.
"""

from collections.abc import Iterator
from enum import Enum

from msgspec import Struct

from gitbatch.patterns import compile_later
from gitbatch.plan.source import Source, Span

MARK = compile_later("\ufdd0([0-9]+)\ufdd1")
"""A mark in a token's text."""
OPENING = compile_later(
    r"\s*(?P<emphasis>[*_]*)\ufdd0(?P<mark>[0-9]+)\ufdd1(?:[\[\uff3b][^\[\]\uff3b\uff3d]{0,3}[\]\uff3d]|[☐☑☒])"
)
"""A text that opens with a box or a lookalike; one in emphasis is a lookalike for every parser."""

_INTERESTING = compile_later(r"[\[\uff3b☐☑☒]|<!--")
_BOX = compile_later(r"[ \t>*+\-0-9.)_•‣·\u2013\u2014]*[\[\uff3b]([^\[\]\uff3b\uff3d]{0,3})[\]\uff3d](.?)")
_BALLOT = compile_later(r"[ \t>]*(?:[*+-]|[0-9]{1,9}[.)])[ \t]+([☐☑☒])")
_CHARACTERS = frozenset("-~/>!?*+.=_✓✔✗✘✅❌☑")
_WORDS = frozenset({"x", "xx", "o", "v", "y", "n", "j", "ok", "yes", "no", "ja"})
"""What some write into a box; other letters are more often a label or a footnote."""
_LINK_GOES_ON = frozenset("([:")


class Sort(Enum):
    """What a candidate looks like before the parser has seen it."""

    BOX = "box"
    LOOKALIKE = "lookalike"
    COMMENT = "comment"


class Candidate(Struct, frozen=True, gc=False):
    """Something marked: for boxes the span between the brackets, for comments that of `<!--`."""

    sort: Sort
    span: Span
    mark: int
    """Before which character of the source its mark stands."""


def marked(source: Source) -> tuple[str, tuple[Candidate, ...]]:
    r"""The source as the parser gets it (`\n` only, front matter blank) with marks, and what they stand for."""
    candidates: list[Candidate] = []
    lines = [""] * source.front_matter
    for number in range(source.front_matter, len(source.starts)):
        line = source.raw_line(number)
        found = list(_candidates(line, source.starts[number])) if _INTERESTING.search(line) else []
        lines.append(_with_marks(line, source.starts[number], found, len(candidates)) if found else line)
        candidates += found
    return "\n".join((*lines, "")), tuple(candidates)


def _candidates(line: str, start: int) -> Iterator[Candidate]:
    """What a line holds: at most one box, and it is the first bracket; any number of comments."""
    box = _box(line, start)
    if box:
        yield box
    position = line.find("<!--")
    while position >= 0:
        at = start + position
        yield Candidate(Sort.COMMENT, Span(at, at + 4), at + 4)
        position = line.find("<!--", position + 4)


def _box(line: str, start: int) -> Candidate | None:
    box = _BOX.match(line)
    if box:
        sort = _sort(box[1], box[2]) if line[box.start(1) - 1] == "[" else Sort.LOOKALIKE
        return Candidate(sort, _moved(box.span(1), start), start + box.start(1) - 1) if sort else None
    ballot = _BALLOT.match(line)
    if ballot:
        return Candidate(Sort.LOOKALIKE, _moved(ballot.span(1), start), start + ballot.start(1))
    return None


def _sort(inside: str, following: str) -> Sort | None:
    if inside in {" ", "x", "X"} and (not following or following.isspace()):
        return Sort.BOX
    if following in _LINK_GOES_ON and following and inside != " ":  # a link; none is called "[ ]"
        return None
    content = inside.strip()
    looks_alike = not content or content.casefold() in _WORDS or content in _CHARACTERS
    return Sort.LOOKALIKE if looks_alike else None


def _moved(span: tuple[int, int], by: int) -> Span:
    return Span(span[0] + by, span[1] + by)


def _with_marks(line: str, start: int, found: list[Candidate], first: int) -> str:
    parts: list[str] = []
    position = 0
    for number, candidate in enumerate(found, first):
        parts += (line[position : candidate.mark - start], f"\ufdd0{number}\ufdd1")
        position = candidate.mark - start
    return "".join((*parts, line[position:]))
