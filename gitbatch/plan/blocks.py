"""The blocks of a Markdown text that a plan is made of, each at its place: headings, boxes, comments.

mistune decides what is what (`marks.py` says how its answer is traced to the source); this module only walks
its tokens. Only the block parser runs: inline text is read by `inline.py`, from the source.
Not for meaning: which heading opens the work section is decided in `sections.py`.
"""

from bisect import bisect_right
from collections.abc import Iterator
from enum import Enum
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from msgspec import Struct

from gitbatch.plan import help_texts
from gitbatch.plan.findings import Findings
from gitbatch.plan.inline import scan
from gitbatch.plan.marks import MARK, OPENING, Candidate, Sort, marked
from gitbatch.plan.source import Source, Span

if TYPE_CHECKING:
    from gitbatch.plan.markdown import Token

MAX_BOXES = 10_000
"""Boxes in a file."""
MAX_DEPTH = 6
"""Lists around a box."""


class RawHeading(Struct, frozen=True):
    """A heading at the top level of the text."""

    level: int
    title: str
    span: Span
    """Its title."""
    start: int
    end: int
    """Where the text below it begins."""


class Box(Struct, frozen=True, gc=False):
    """A check box whose ancestors are lists only."""

    inner: int
    """The character between the brackets."""
    line: int
    root: int
    """The index of the outermost box around it: its own index, if it is not a sub-step."""
    depth: int
    """How many lists are around it."""
    top_list: int
    """The index of the outermost list around it."""
    number: int | None
    """The number that an ordered list prints before it."""
    text: Span
    """Its first paragraph, behind the box."""
    end_line: int
    """The first line that is no longer part of it."""

    @property
    def span(self) -> Span:
        """The box with its brackets."""
        return Span(self.inner - 1, self.inner + 2)

    def is_done(self, source: Source) -> bool:
        """Whether it is ticked."""
        return source.text[self.inner] != " "


class RejectionReason(Enum):
    """Why something that looks like a box is not one."""

    LOOKALIKE = "lookalike"
    LOOSE = "no bullet before it"
    QUOTED = "in a quote"
    INDENTED = "in indented code"
    HTML = "in an HTML block"
    UNDERLINED = "in a heading"
    DEEP = "too deep"


class Stray(Struct, frozen=True):
    """Something that looks like a box and is not one."""

    span: Span
    reason: RejectionReason
    box: int | None
    """The index of the box that it is a part of."""


class Comment(Struct, frozen=True):
    """An HTML comment. Unclosed: it hides the rest of the text."""

    span: Span
    content: str
    box: int | None
    """The index of the box that it is a part of."""
    is_quoted: bool
    is_closed: bool


class Blocks(Struct, frozen=True):
    """Everything located in one text, each kind in document order."""

    headings: tuple[RawHeading, ...]
    boxes: tuple[Box, ...]
    strays: tuple[Stray, ...]
    comments: tuple[Comment, ...]


def headings(source: Source) -> tuple[RawHeading, ...]:
    """The headings at the top level of a source."""
    blank = [""] * source.front_matter
    text = "\n".join((*blank, *list(source.lines())[source.front_matter :], ""))
    return _headings(source, text, _read_tokens(text))


def locate(source: Source, findings: Findings) -> Blocks:
    """The blocks of a source that was read without a diagnostic; nothing, if it has too many boxes."""
    text, candidates = marked(source)
    boxes = [candidate for candidate in candidates if candidate.sort is Sort.BOX]
    if len(boxes) > MAX_BOXES:
        message = f"the file has more than {MAX_BOXES:,} boxes"
        findings.error("GB002", boxes[MAX_BOXES].span, message, help_texts.SPLIT_PLAN)
        return Blocks((), (), (), ())
    found = _read_tokens(text)
    walk = _Walk(source, candidates)
    walk.blocks(found, _Nesting())
    return walk.result(_headings(source, text, found))


def _read_tokens(text: str) -> "list[Token]":
    """Returns mistune's tokens of a text. mistune is imported now: a worker reads a configuration, and never a plan."""
    from gitbatch.plan.markdown import tokens  # noqa: PLC0415

    return tokens(text)


def _headings(source: Source, text: str, found: "list[Token]") -> tuple[RawHeading, ...]:
    starts = (0, *accumulate(len(line) + 1 for line in text.split("\n")))
    return tuple(
        _heading(
            source, token, bisect_right(starts, token["at"]) - 1, bisect_right(starts, token["last"]) - 1
        )
        for token in found
        if token["type"] == "heading"
    )


def _heading(source: Source, token: "Token", first: int, last: int) -> RawHeading:
    start = source.starts[first]
    raw = source.text[start : source.ends[max(first, last - 1)]]
    title = raw.strip() if last > first else _atx_title(raw)
    at = start + raw.rfind(title)
    return RawHeading(
        level=token["attrs"]["level"],
        title=" ".join(title.split()),
        span=Span(at, at + len(title)),
        start=start,
        end=source.starts[last + 1] if last + 1 < len(source.starts) else len(source.text),
    )


def _atx_title(line: str) -> str:
    title = line.lstrip(" ").lstrip("#").strip(" \t")
    opened = title.rstrip("#")
    return title if opened and opened[-1] not in " \t" else opened.rstrip(" \t")


class _Nesting(NamedTuple):
    """Where in the tree of tokens the walk is. A named tuple, as a new one is needed for each box."""

    lists: int = 0
    top_list: int = 0
    is_quoted: bool = False
    box: int | None = None


class _Walk:
    """One pass over the tokens; what it finds is in its lists."""

    def __init__(self, source: Source, candidates: tuple[Candidate, ...]) -> None:
        self._source = source
        self._candidates = candidates
        self._boxes: list[Box] = []
        self._strays: list[Stray] = []
        self._comments: list[Comment] = []

    def result(self, headings: tuple[RawHeading, ...]) -> Blocks:
        for heading in headings:
            if "<!--" in heading.title:
                inline = scan(self._source.text[heading.start : heading.end])
                for piece in inline.comments:
                    self._comment(heading.start + piece.start, _Nesting())
        comments = sorted(self._comments, key=lambda comment: comment.span)
        return Blocks(headings, tuple(self._boxes), tuple(self._strays), tuple(comments))

    def blocks(self, children: "list[Token]", place: _Nesting) -> None:
        for index, token in enumerate(children):
            match token["type"]:
                case "list":
                    self._list(token, place if place.lists else place._replace(top_list=index))
                case "block_quote":
                    self.blocks(token["children"], place._replace(is_quoted=True))
                case "paragraph" | "block_text":
                    self._paragraph(token["text"], place)
                case "heading" if "text" in token:
                    self._astray(token["text"], RejectionReason.UNDERLINED, place)
                case "block_html":
                    self._html(token["raw"], place)
                case "block_code" if token["style"] == "indent":
                    self._astray(token["raw"], RejectionReason.INDENTED, place)

    def _list(self, token: "Token", place: _Nesting) -> None:
        inside = place._replace(lists=place.lists + 1)
        first = token["attrs"].get("start", 1)
        for index, entry in enumerate(token["children"]):
            self._entry(entry["children"], inside, first + index if token["attrs"]["ordered"] else None)

    def _entry(self, children: "list[Token]", place: _Nesting, number: int | None) -> None:
        first = children[0]
        text = first["text"] if first["type"] in {"paragraph", "block_text"} else ""
        opening = OPENING.match(text)
        if not opening or place.is_quoted:
            self.blocks(children, place)
            return
        candidate = self._candidates[int(opening["mark"])]
        if candidate.sort is Sort.LOOKALIKE or opening["emphasis"]:
            self._strays.append(Stray(candidate.span, RejectionReason.LOOKALIKE, place.box))
        else:
            self._box(candidate, children[-1]["lines"], text.rstrip().count("\n"), place, number)
            place = place._replace(box=len(self._boxes) - 1)
        self._paragraph(text[opening.end() :], place)
        self.blocks(children[1:], place)

    def _box(
        self, candidate: Candidate, lines: int, more_lines: int, place: _Nesting, number: int | None
    ) -> None:
        index = len(self._boxes)
        line = self._source.line(candidate.mark)
        box = Box(
            inner=candidate.span.start,
            line=line,
            root=index if place.box is None else self._boxes[place.box].root,
            depth=place.lists,
            top_list=place.top_list,
            number=number,
            text=Span(candidate.span.end + 1, self._source.ends[line + more_lines]),
            end_line=line + lines,
        )
        self._boxes.append(box)

    def _paragraph(self, text: str, place: _Nesting) -> None:
        if not MARK.search(text):
            return
        self._astray(text, RejectionReason.DEEP if place.lists >= MAX_DEPTH else RejectionReason.LOOSE, place)
        for piece in scan(text).comments:
            _, candidate = next(self._marks(piece.content))  # the mark behind its own opening
            self._comment(candidate.span.start, place)

    def _astray(self, text: str, reason: RejectionReason, place: _Nesting) -> None:
        why = RejectionReason.QUOTED if place.is_quoted else reason
        for _, candidate in self._marks(text):
            if candidate.sort is Sort.BOX:
                self._strays.append(Stray(candidate.span, why, place.box))

    def _html(self, raw: str, place: _Nesting) -> None:
        if not raw.lstrip().startswith("<!--"):
            self._astray(raw, RejectionReason.HTML, place)
        closed_at = 0
        for at, candidate in self._marks(raw):
            if candidate.sort is Sort.COMMENT and at >= closed_at:
                self._comment(candidate.span.start, place)
                closed_at = raw.find("-->", at)
                if closed_at < 0:
                    return

    def _marks(self, text: str) -> Iterator[tuple[int, Candidate]]:
        """The marks in a token's text: where they are, and what they stand for."""
        return ((mark.start(), self._candidates[int(mark[1])]) for mark in MARK.finditer(text))

    def _comment(self, start: int, place: _Nesting) -> None:
        text = self._source.text
        close = text.find("-->", start + 4)
        end = close + 3 if close >= 0 else self._source.ends[self._source.line(start)]
        content = text[start + 4 : close if close >= 0 else end]
        self._comments.append(Comment(Span(start, end), content, place.box, place.is_quoted, close >= 0))
