"""Which part of a plan's text is what: the work section, its groups and items, the Definition of Done.

The innermost matching heading decides what a box is: below a Definition of Done it is a criterion wherever
that stands, below the work section an item. No other box in the file is work (rules P1, P2).
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from msgspec import Struct

from gitbatch.plan.blocks import Blocks, Box, RawHeading
from gitbatch.plan.findings import Findings, quoted
from gitbatch.plan.model import TITLES_WORK, PlanOptions
from gitbatch.plan.outline import section_ends
from gitbatch.plan.source import Span
from gitbatch.plan.titles import normalise, suggestion

EXAMPLE = """\
## {title}

### Group name
- [ ] First piece of work → DoD: #1
- [ ] Second piece of work, at the same time → DoD: #2"""
"""What a user who has no work section is shown, with the title that is to be there."""


class Section(Struct, frozen=True):
    """A heading and everything below it, down to the next heading of its level or a higher one."""

    heading: RawHeading
    end: int

    def holds(self, offset: int) -> bool:
        """Whether a character is in it."""
        return self.heading.start <= offset < self.end


class GroupSection(Struct, frozen=True):
    """A group's heading, where the group ends, and its items."""

    heading: RawHeading
    end: int
    items: tuple[Box, ...]


class Layout(Struct, frozen=True):
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
        is_outer = self.work is not None and self.dod.holds(self.work.heading.start)
        return not (is_outer and self.work is not None and self.work.holds(offset))

    def is_among_criteria(self, offset: int) -> bool:
        """Whether a character is in the Definition of Done, or between the entries of a list that serves as one."""
        if self.dod or not self.criteria:
            return self.is_dod(offset)
        return self.criteria[0].inner <= offset <= self.criteria[-1].inner


_Near = tuple[Section, str]
"""A section, and the title that was probably meant."""


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
    _report_near(near + _near_dod(layout, sections, outermost, options), findings)
    wanted = next(iter(options.work_titles), TITLES_WORK[0])
    _report_missing(layout, outermost, near[0][0].heading if near else None, wanted, findings)
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
            earlier = f"{quoted(first.heading.title)} in line {line}"
            message = f"{quoted(section.heading.title)} is a second section of the same kind as {earlier}"
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
) -> list[_Near]:
    """Sections that were probably meant to be the work section; if there is one, only those that hold boxes."""
    outside = [section for section in sections if not layout.is_work(section.heading.start)]
    return _near(_with_boxes(outside, boxes) if layout.work else outside, options.work_titles)


def _near_dod(layout: Layout, sections: list[Section], boxes: list[Box], options: PlanOptions) -> list[_Near]:
    """Sections that hold boxes and were probably meant to be the Definition of Done, if there is not one."""
    is_there = layout.dod or layout.criteria
    return [] if is_there else _near(_with_boxes(sections, boxes), options.dod_titles)


def _near(sections: Iterable[Section], titles: Sequence[str]) -> list[_Near]:
    suggestions = ((section, suggestion(section.heading.title, titles)) for section in sections)
    return [(section, title) for section, title in suggestions if title]


def _report_near(near: Iterable[_Near], findings: Findings) -> None:
    for section, title in near:
        message = f"{quoted(section.heading.title)} is not a known title"
        findings.warning("GB102", section.heading.span, message, f"if it is meant, call it {quoted(title)}")


def _with_boxes(sections: Iterable[Section], boxes: list[Box]) -> list[Section]:
    places = [box.inner for box in boxes]
    return [s for s in sections if bisect_right(places, s.heading.start) < bisect_right(places, s.end)]


def _report_missing(
    layout: Layout, boxes: list[Box], near: RawHeading | None, title: str, findings: Findings
) -> None:
    """The hard stops of rule T3: no work section, or one without groups. `title`: what to call the section."""
    if layout.work:
        _report_ungrouped(
            layout.work, layout.groups, [box for box in boxes if layout.is_work(box.inner)], findings
        )
        return
    place = near.span if near else boxes[0].span if boxes else Span(0, 0)
    is_flat = bool(layout.criteria) and not near
    flat = "; a flat list is a Definition of Done and never dispatched" if is_flat else ""
    message = f"no section {quoted(title)} with the work in groups{flat}"
    advice = f"add one, with your own groups and items:\n\n{EXAMPLE.format(title=title)}"
    findings.error("GB100", place, message, advice)


def _report_ungrouped(
    work: Section, groups: Sequence[GroupSection], items: list[Box], findings: Findings
) -> None:
    first_group = groups[0].heading.start if groups else work.end
    loose = [item for item in items if item.inner < first_group]
    example = f"{'#' * min(work.heading.level + 1, 6)} Group name"
    if loose:
        many = "1 item" if len(loose) == 1 else f"{len(loose)} items"
        where = "above the first group" if groups else "in a work section without groups"
        message = f"{many} {where}: a flat list is never dispatched"
        advice = f"put a heading above the items:\n\n{example}\n{findings.source.raw_line(loose[0].line)}"
        findings.error("GB101", loose[0].span, message, advice)
    elif not items:
        message = f"the work section has no {'items' if groups else 'groups'}"
        advice = f"add groups with check boxes:\n\n{example}\n- [ ] First piece of work"
        findings.error("GB101", work.heading.span, message, advice)
