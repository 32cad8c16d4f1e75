"""The groups of a plan, put together: items drafted one by one, then what concerns several of them.

That is: no two items of a group write the same file, and `after:` names real items in an order that can be kept.
"""

import string
from collections.abc import Sequence
from itertools import islice

from msgspec.structs import replace

from gitbatch.plan import help_texts
from gitbatch.plan.after import Node, resolve
from gitbatch.plan.findings import Findings, quoted
from gitbatch.plan.hint_owners import OwnedHints
from gitbatch.plan.inline import one_line, scan
from gitbatch.plan.items import Draft, draft_item
from gitbatch.plan.model import Group, ItemReference, PlanOptions, WorkItem
from gitbatch.plan.naming import Home
from gitbatch.plan.outputs import Outputs, collisions
from gitbatch.plan.sections import GroupSection, Layout
from gitbatch.plan.source import Source, Span
from gitbatch.plan.titles import slugify

_DIGITS, _LETTERS = string.digits, string.ascii_letters


def read_groups(
    layout: Layout, owned: OwnedHints, criteria: int, options: PlanOptions, findings: Findings
) -> tuple[Group, ...]:
    """The groups with their items, in a plan with this number of criteria."""
    homes = [Home(n, slugify(section.heading.title), options) for n, section in enumerate(layout.groups, 1)]
    drafts = [
        draft_item(box, settings, home, criteria, findings)
        for home, section, row in zip(homes, layout.groups, owned.items, strict=True)
        for box, settings in zip(section.items, row, strict=True)
    ]
    drafts = _numbered(drafts)
    _report_doubled_ids(drafts, findings)
    _report_collisions(drafts, findings)
    nodes = [_make_node(draft) for draft in drafts]
    waits = resolve(nodes, [settings.after for settings in owned.groups], findings)
    items = iter(_waiting(draft.item, awaited) for draft, awaited in zip(drafts, waits.items, strict=True))
    return tuple(
        Group(
            number=home.group,
            title=_title(section),
            slug=home.slug,
            prose=_prose(section, layout, findings.source),
            items=tuple(islice(items, len(section.items))),
            hints=replace(settings.hints, after=awaited),
            line=findings.source.line(section.heading.start) + 1,
        )
        for home, section, settings, awaited in zip(
            homes, layout.groups, owned.groups, waits.groups, strict=True
        )
    )


def _make_node(draft: Draft) -> Node:
    item = draft.item
    return Node(item.group, item.id, item.output, draft.after, item.reference)


def _waiting(item: WorkItem, awaited: tuple[ItemReference, ...]) -> WorkItem:
    return replace(item, hints=replace(item.hints, after=awaited)) if awaited else item


def _title(section: GroupSection) -> str:
    title = section.heading.title
    comments = scan(title).comments if "<!--" in title else ()
    return one_line(title, [(piece.start, piece.end) for piece in comments])


def _prose(section: GroupSection, layout: Layout, source: Source) -> str:
    """What the group says besides its items, raw."""
    end = section.end
    if layout.dod and section.heading.start < layout.dod.heading.start < end:
        end = layout.dod.heading.start
    position = source.line(section.heading.end) if section.heading.end < end else source.line(end)
    parts: list[str] = []
    stop = source.line(end) if end < len(source.text) else len(source.starts)
    for first, after in ((item.line, item.end_line) for item in section.items):
        parts.append(_lines(source, position, min(first, stop)))
        position = max(position, after)
    parts.append(_lines(source, position, stop))
    return "\n\n".join(part for part in parts if part)


def _lines(source: Source, first: int, after: int) -> str:
    return "\n".join(source.raw_line(line) for line in range(first, after)).strip("\n")


def _numbered(drafts: Sequence[Draft]) -> list[Draft]:
    """The items with a number in each assigned output that would collide with another output."""
    taken = Outputs(draft.item.output for draft in drafts if not draft.output.assigned)
    numbered = []
    for draft in drafts:
        path = taken.add_free(draft.item.output) if draft.output.assigned else draft.item.output
        same = path == draft.item.output
        numbered.append(draft if same else replace(draft, item=replace(draft.item, output=path)))
    return numbered


def _report_doubled_ids(drafts: Sequence[Draft], findings: Findings) -> None:
    first: dict[str, WorkItem] = {}
    ids = _FreeIds(drafts)
    for draft in drafts:
        name = draft.item.id
        earlier = first.setdefault(name, draft.item) if name else draft.item
        if earlier is not draft.item:
            message = f"the id {quoted(name or '')} is that of the item in line {earlier.line} too"
            findings.error("GB215", draft.box, message, help_texts.OTHER_ID, _rename(draft, ids, findings))


class _FreeIds:
    """Ids that no item has, each given once."""

    def __init__(self, drafts: Sequence[Draft]) -> None:
        self._taken = {draft.item.id.casefold() for draft in drafts if draft.item.id}
        self._last: dict[tuple[str, str], int] = {}

    def find_next(self, name: str) -> str:
        """Returns the next free id after one: T3 after T1, if T2 is taken; `intro-2` after `intro`."""
        head = name.rstrip(_LETTERS) if name[-1:].isalpha() and name[-2:-1].isdigit() else name
        stem = head.rstrip(_DIGITS)
        digits, ending = head[len(stem) :], name[len(head) :]
        number = self._last.get((stem, ending), int(digits or 1))
        free = name
        while free.casefold() in self._taken:
            number += 1
            free = f"{stem}{number:0{len(digits)}}{ending}" if digits else f"{stem}-{number}"
        self._last[stem, ending] = number
        self._taken.add(free.casefold())
        return free


def _rename(draft: Draft, ids: _FreeIds, findings: Findings) -> tuple[Span, str] | None:
    """Returns the place of an item's id, and an id that is free."""
    name = draft.item.id or ""
    at = findings.source.text.find(name, draft.box.end)
    return (Span(at, at + len(name)), ids.find_next(name)) if at >= 0 else None


def _report_collisions(drafts: Sequence[Draft], findings: Findings) -> None:
    """Items that would write the same file, or one of which needs a folder where another needs a file."""
    for later, earlier in collisions((draft.item.group, draft.item.output) for draft in drafts):
        item, other = drafts[later].item, drafts[earlier].item
        message = (
            f"the output {quoted(item.output)} collides with {quoted(other.output)} of line {other.line}"
        )
        findings.error("GB223", drafts[later].output.span, message, help_texts.OTHER_OUTPUT_OR_ID)
