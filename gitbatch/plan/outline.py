"""The headings of any Markdown document, with byte offsets: for documents that are no plan.

Used on CLAUDE.md, context documents and shared artifacts, by code that cuts out or extends one section.
"""

from collections.abc import Sequence

from msgspec import Struct

from gitbatch.plan.blocks import RawHeading, headings
from gitbatch.plan.source import read
from gitbatch.plan.titles import normalise


class Heading(Struct, frozen=True):
    """A heading and its section. Offsets are bytes of the file, also where it begins with a byte order mark."""

    level: int
    title: str
    """As it is written, without `#` and on one line."""
    name: str
    """The title as titles are compared (`titles.normalise`)."""
    line: int
    """The line of the file, from 1."""
    start: int
    """Where the heading begins."""
    body: int
    """Where the text below the heading begins."""
    end: int
    """Where its section ends: at the next heading of the same or a higher level, or at the end of the file."""


def outline(source: bytes) -> tuple[Heading, ...]:
    """The headings outside quotes and lists, in document order; none for bytes that cannot be read as text."""
    text, problems = read(source)
    if problems:
        return ()
    found = headings(text)
    ends = section_ends(found, len(text.text))
    return tuple(
        Heading(
            level=heading.level,
            title=heading.title,
            name=normalise(heading.title),
            line=text.line(heading.start) + 1,
            start=text.byte(heading.start),
            body=text.byte(heading.end),
            end=text.byte(end),
        )
        for heading, end in zip(found, ends, strict=True)
    )


def section_ends(found: Sequence[RawHeading], length: int) -> tuple[int, ...]:
    """For each heading of a text, where its section ends."""
    ends = [length] * len(found)
    open_sections: list[int] = []
    for index, heading in enumerate(found):
        while open_sections and found[open_sections[-1]].level >= heading.level:
            ends[open_sections.pop()] = heading.start
        open_sections.append(index)
    return tuple(ends)
