"""Which part of a plan's text is what: the work section, its groups and items, the Definition of Done.

The innermost matching heading decides what a box is: below a Definition of Done it is a criterion wherever
that stands, below the work section an item. No other box in the file is work (rules P1, P2).
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.json import encode
from msgspec.structs import replace

from gitbatch.plan import help_texts
from gitbatch.plan.blocks import Blocks, Box, RawHeading
from gitbatch.plan.findings import Findings, quoted
from gitbatch.plan.help_texts import Language
from gitbatch.plan.model import TITLES_WORK, PlanOptions
from gitbatch.plan.outline import section_ends
from gitbatch.plan.source import Span
from gitbatch.plan.titles import matches, normalise, suggestion
from gitbatch.text import clean_text

_OTHER_TITLES = {
    Language.EN: ("Tasks", "Task List", "To Do", "To-Do", "TODO", "TODOs", "To-Dos", "Steps"),
    Language.DE: ("Aufgaben", "Aufgabenliste", "Schritte", "Arbeitsschritte"),
}
"""Titles that other people give the work: suggested if the section has groups, never taken."""
_WORK_TITLES = {Language.EN: "Work Packages", Language.DE: "Arbeitspakete"}


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
    language: Language = Language.EN
    """The language of the work section's title, or of the one that was probably meant to be it."""

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


class _NearTitle(Struct, frozen=True):
    """A section whose title was probably meant to be a known one."""

    section: Section
    meant: str
    setting: str
    """The key of the further titles in the configuration."""


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
    wanted = near[0].meant if near else next(iter(options.work_titles), TITLES_WORK[0])
    _report_missing(layout, outermost, near[0].section.heading if near else None, wanted, findings)
    title = work.heading.title if work else near[0].meant if near else ""
    return replace(layout, language=_language_of(title))


def _language_of(work_title: str) -> Language:
    german = (_WORK_TITLES[Language.DE], *_OTHER_TITLES[Language.DE])
    return Language.DE if matches(work_title, german) else Language.EN


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
            findings.error("GB103", section.heading.span, message, help_texts.ONE_SECTION)
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
            advice = help_texts.SAME_LEVEL.fill(marks="#" * level)
            findings.error("GB104", heading.span, message, advice)
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
) -> list[_NearTitle]:
    """Sections that were probably meant to be the work section; if there is one, only those that hold boxes."""
    outside = [section for section in sections if not layout.is_work(section.heading.start)]
    near = _near(_with_boxes(outside, boxes) if layout.work else outside, options.work_titles, "work")
    known = [one.section for one in near]
    others = [s for s in outside if s not in known and not layout.is_dod(s.heading.start)]
    return near + _other_titles(others, boxes, options)


def _other_titles(sections: list[Section], boxes: list[Box], options: PlanOptions) -> list[_NearTitle]:
    """Sections with groups whose title other people give the work."""
    found: list[_NearTitle] = []
    for language, titles in _OTHER_TITLES.items():
        meant = _WORK_TITLES[language]
        meant = meant if meant in options.work_titles else next(iter(options.work_titles), meant)
        found += (
            _NearTitle(section, meant, "work")
            for section, _ in _suggested(sections, titles, same=True)
            if _has_groups(section, sections, boxes)
        )
    outer = [one for one in found if not any(_is_inside(one.section, other.section) for other in found)]
    return sorted(outer, key=lambda one: one.section.heading.start)


def _has_groups(section: Section, sections: list[Section], boxes: list[Box]) -> bool:
    return bool(_with_boxes([one for one in sections if _is_inside(one, section)], boxes))


def _is_inside(inner: Section, outer: Section) -> bool:
    return outer is not inner and outer.holds(inner.heading.start)


def _near_dod(
    layout: Layout, sections: list[Section], boxes: list[Box], options: PlanOptions
) -> list[_NearTitle]:
    """Sections that hold boxes and were probably meant to be the Definition of Done, if there is not one."""
    is_there = layout.dod or layout.criteria
    return [] if is_there else _near(_with_boxes(sections, boxes), options.dod_titles, "dod")


def _near(sections: Iterable[Section], titles: Sequence[str], setting: str) -> list[_NearTitle]:
    return [_NearTitle(section, title, setting) for section, title in _suggested(sections, titles)]


def _suggested(
    sections: Iterable[Section], titles: Sequence[str], *, same: bool = False
) -> Iterator[tuple[Section, str]]:
    """Yields the sections with a title that is near a known one. `same`: or equal to it."""
    for section in sections:
        title = section.heading.title
        near = title if same and matches(title, titles) else suggestion(title, titles)
        if near:
            yield section, near


def _report_near(near: Iterable[_NearTitle], findings: Findings) -> None:
    for one in near:
        title = one.section.heading.title
        setting = f"{one.setting} = [{encode(clean_text(title)).decode()}]"
        advice = help_texts.MEANT_TITLE.fill(title=quoted(one.meant), setting=setting)
        message = f"{quoted(title)} is not a known title"
        findings.warning("GB102", one.section.heading.span, message, advice)


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
    findings.error("GB100", place, message, help_texts.ADD_WORK_SECTION.fill(title=title))


def _report_ungrouped(
    work: Section, groups: Sequence[GroupSection], items: list[Box], findings: Findings
) -> None:
    first_group = groups[0].heading.start if groups else work.end
    loose = [item for item in items if item.inner < first_group]
    marks = "#" * min(work.heading.level + 1, 6)
    if loose:
        many = "1 item" if len(loose) == 1 else f"{len(loose)} items"
        where = "above the first group" if groups else "in a work section without groups"
        message = f"{many} {where}: a flat list is never dispatched"
        item = findings.source.raw_line(loose[0].line)
        advice = help_texts.ADD_GROUP_HEADING.fill(marks=marks, item=item)
        findings.error("GB101", loose[0].span, message, advice)
    elif not items:
        message = f"the work section has no {'items' if groups else 'groups'}"
        findings.error("GB101", work.heading.span, message, help_texts.ADD_GROUPS.fill(marks=marks))
