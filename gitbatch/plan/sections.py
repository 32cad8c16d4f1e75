"""Which part of a plan's text is what: the work section, its groups and items, the Definition of Done.

The innermost matching heading decides what a box is: below a Definition of Done it is a criterion wherever
that stands, below the work section an item. Every other box in the file is nobody's work (rules P1, P2).
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gitbatch.plan.blocks import Blocks, Box, RawHeading
from gitbatch.plan.findings import Findings, quoted
from gitbatch.plan.model import PlanOptions
from gitbatch.plan.outline import section_ends
from gitbatch.plan.source import Span
from gitbatch.plan.titles import normalise, suggestion

EXAMPLE = """\
## Arbeitspakete

### Group name
- [ ] First piece of work → DoD: #1
- [ ] Second piece of work, at the same time → DoD: #2"""
"""What a user who has no work section is shown."""


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and everything below it, down to the next heading of its level or a higher one."""

    heading: RawHeading
    end: int

    def holds(self, offset: int) -> bool:
        """Whether a character is in it."""
        return self.heading.start <= offset < self.end


@dataclass(frozen=True, slots=True)
class GroupSection:
    """A group's heading, where the group ends, and its items."""

    heading: RawHeading
    end: int
    items: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything is. Without a work section there are no groups."""

    work: Section | None
    dod: Section | None
    groups: tuple[GroupSection, ...]
    criteria: tuple[Box, ...]

    def is_work(self, offset: int) -> bool:
        """Whether a character is in the work section and in no Definition of Done inside it."""
        return self.work is not None and self.work.holds(offset) and not self.is_dod(offset)

    def is_dod(self, offset: int) -> bool:
        """Whether a character is in the Definition of Done and in no work section inside it."""
        if self.dod is None or not self.dod.holds(offset):
            return False
        is_outer = self.work is not None and self.work.heading.start > self.dod.heading.start
        return not (is_outer and self.work is not None and self.work.holds(offset))

    def is_among_criteria(self, offset: int) -> bool:
        """Whether a character is in the Definition of Done, or between the entries of a list that serves as one."""
        if self.dod or not self.criteria:
            return self.is_dod(offset)
        return self.criteria[0].inner <= offset <= self.criteria[-1].inner


def find_layout(blocks: Blocks, options: PlanOptions, findings: Findings) -> Layout:
    """The layout of a plan. Reports what is missing, doubled or only nearly there."""
    ends = section_ends(blocks.headings, len(findings.source.text))
    sections = [Section(heading, end) for heading, end in zip(blocks.headings, ends, strict=True)]
    work = _only(sections, options.work_titles, findings)
    dod = _only(sections, options.dod_titles, findings)
    bare = Layout(work, dod, (), ())
    outermost = [box for index, box in enumerate(blocks.boxes) if box.root == index]
    items = [box for box in outermost if bare.is_work(box.inner)]
    groups = _groups(_group_headings(bare, blocks.headings, findings), items, work.end if work else 0)
    layout = Layout(work, dod, groups, _criteria(bare, outermost))
    near = _near_work(layout, sections, outermost, options)
    for section, title in near + _near_dod(layout, sections, outermost, options):
        advice = f"if it is meant, call it {quoted(title)}"
        findings.warning(
            "GB102", section.heading.span, f"{quoted(section.heading.title)} is no known title", advice
        )
    _report_missing(layout, items, outermost, findings)
    return layout


def _only(sections: list[Section], titles: Iterable[str], findings: Findings) -> Section | None:
    """The one section with a matching title; a matching heading inside it is only a heading."""
    names = {normalise(title) for title in titles}
    first: Section | None = None
    for section in sections:
        if normalise(section.heading.title) not in names or (first and first.holds(section.heading.start)):
            continue
        if first:
            line = findings.source.line(first.heading.start) + 1
            message = f"{quoted(section.heading.title)} is there twice (first in line {line})"
            findings.error(
                "GB103", section.heading.span, message, "make one section of the two, or rename one"
            )
        first = first or section
    return first


def _group_headings(bare: Layout, headings: Sequence[RawHeading], findings: Findings) -> list[RawHeading]:
    """The headings that open a group: as deep as the first one in the work section."""
    inside = [h for h in headings if bare.is_work(h.start) and bare.work and h is not bare.work.heading]
    if not inside:
        return []
    level = inside[0].level
    for heading in inside:
        if heading.level < level:
            message = f"a heading of level {heading.level}, but the groups here are of level {level}"
            findings.error(
                "GB104", heading.span, message, f"give every group the same number of “#”: {'#' * level}"
            )
    return [heading for heading in inside if heading.level <= level]


def _groups(headings: list[RawHeading], items: list[Box], end: int) -> tuple[GroupSection, ...]:
    starts = [heading.start for heading in headings]
    ends = [*starts, end][1:]
    members: list[list[Box]] = [[] for _ in range(len(headings) + 1)]
    for item in items:
        members[bisect_right(starts, item.inner)].append(item)
    rows = zip(headings, ends, members[1:], strict=True)
    return tuple(GroupSection(heading, stop, tuple(boxes)) for heading, stop, boxes in rows)


def _criteria(bare: Layout, outermost: list[Box]) -> tuple[Box, ...]:
    top = [box for box in outermost if box.depth == 1]
    if bare.dod:
        return tuple(box for box in top if bare.is_dod(box.inner))
    flat = [box for box in top if not bare.is_work(box.inner)]
    lists = {box.top_list for box in flat}
    return tuple(flat) if len(lists) == 1 else ()


def _near_work(
    layout: Layout, sections: list[Section], boxes: list[Box], options: PlanOptions
) -> list[tuple[Section, str]]:
    """Sections that were probably meant to be the work section. With one there already, only those that hold boxes."""
    outside = [section for section in sections if not layout.is_work(section.heading.start)]
    return [
        (section, title)
        for section in (outside if not layout.work else _with_boxes(outside, boxes))
        if (title := suggestion(section.heading.title, options.work_titles))
    ]


def _near_dod(
    layout: Layout, sections: list[Section], boxes: list[Box], options: PlanOptions
) -> list[tuple[Section, str]]:
    """Sections that hold boxes and were probably meant to be the Definition of Done, if there is none."""
    if layout.dod or layout.criteria:
        return []
    return [
        (section, title)
        for section in _with_boxes(sections, boxes)
        if (title := suggestion(section.heading.title, options.dod_titles))
    ]


def _with_boxes(sections: Iterable[Section], boxes: list[Box]) -> list[Section]:
    places = [box.inner for box in boxes]
    return [s for s in sections if bisect_right(places, s.heading.start) < bisect_right(places, s.end)]


def _report_missing(layout: Layout, items: list[Box], boxes: list[Box], findings: Findings) -> None:
    """The hard stops of rule T3: no work section, or one without groups."""
    if not layout.work:
        flat = f"; the flat list from line {boxes[0].line + 1} is a Definition of Done" if boxes else ""
        message = f"no section “Arbeitspakete” [Work Packages] with the work in groups{flat}"
        place = Span(boxes[0].inner - 1, boxes[0].inner + 2) if boxes else Span(0, 0)
        findings.error("GB100", place, message, f"add one, with your own groups and items:\n\n{EXAMPLE}")
        return
    place = layout.work.heading.span
    loose = [item for item in items if not layout.groups or item.inner < layout.groups[0].heading.start]
    group = f"{'#' * min(layout.work.heading.level + 1, 6)} Group name"
    if loose:
        where = "above the first group" if layout.groups else "in a work section without groups"
        message = (
            f"{len(loose)} {'item' if len(loose) == 1 else 'items'} {where}: a flat list is never dispatched"
        )
        advice = f"put a heading above the items:\n\n{group}\n{findings.source.raw_line(loose[0].line)}"
        findings.error("GB101", Span(loose[0].inner - 1, loose[0].inner + 2), message, advice)
    elif not items:
        message = "the work section has no items" if layout.groups else "the work section has no groups"
        findings.error(
            "GB101", place, message, f"add groups with check boxes:\n\n{group}\n- [ ] First piece of work"
        )
