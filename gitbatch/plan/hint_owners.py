"""Whom each hint acts on: decided by its place alone.

In an item: that item. Below a group's heading and above its first item: the group. Below the work section's
heading and above its first group: the plan. Anywhere else it has no owner, and that is said.
"""

from bisect import bisect_right

from msgspec import Struct

from gitbatch.plan import help_texts
from gitbatch.plan.blocks import Blocks, Comment
from gitbatch.plan.findings import Findings
from gitbatch.plan.hints import Hint, HintSettings, Name, combine_hints, read_hint
from gitbatch.plan.sections import Layout

_IDLE_IN_ITEMS = frozenset({Name.MAX, Name.PARALLEL, Name.GATE, Name.BARRIER})
_NOT_FOR_GROUPS = frozenset({Name.OUTPUT, Name.WAIT})
_NOT_FOR_PLANS = frozenset({Name.OUTPUT, Name.AFTER, Name.WAIT, Name.BARRIER})

_ONLY_FOR_GROUPS = frozenset({Name.GATE, Name.BARRIER})


class OwnedHints(Struct, frozen=True):
    """The settings of the plan, and those of its groups and items in the order of the layout."""

    plan: HintSettings
    groups: tuple[HintSettings, ...]
    items: tuple[tuple[HintSettings, ...], ...]


def find_owned_hints(blocks: Blocks, layout: Layout, findings: Findings) -> OwnedHints:
    """The hints of a plan with their owners. Reports hints that have none."""
    plan: list[Hint] = []
    groups: list[list[Hint]] = [[] for _ in layout.groups]
    items: dict[int, list[Hint]] = {item.root: [] for group in layout.groups for item in group.items}
    for comment in blocks.comments:
        hint = _read(comment, layout, findings)
        if not hint:
            continue
        owner = _owner(comment, blocks, layout)
        if owner is None or hint.name in owner.forbidden:
            _report_ownerless(hint, owner, findings)
        elif owner.root is not None:
            items[owner.root].append(hint)
            if hint.name in _IDLE_IN_ITEMS:
                _report_idle(hint, findings)
        else:
            (plan if owner.group is None else groups[owner.group]).append(hint)
    return OwnedHints(
        combine_hints(plan, findings),
        tuple(combine_hints(hints, findings) for hints in groups),
        tuple(
            tuple(combine_hints(items[item.root], findings) for item in group.items)
            for group in layout.groups
        ),
    )


def _read(comment: Comment, layout: Layout, findings: Findings) -> Hint | None:
    if comment.is_closed:
        return read_hint(comment, findings, is_ours=layout.is_work(comment.span.start))
    findings.error("GB301", comment.span, "the comment is never closed", help_texts.CLOSE_COMMENT)
    return None


class _Owner(Struct, frozen=True):
    """Whom a hint acts on: the item with this box, else the group with this index, else the plan."""

    root: int | None
    group: int | None
    forbidden: frozenset[Name]


def _owner(comment: Comment, blocks: Blocks, layout: Layout) -> _Owner | None:
    at = comment.span.start
    if comment.is_quoted or not layout.is_work(at):
        return None
    index = bisect_right(layout.groups, at, key=lambda group: group.heading.start) - 1
    if comment.box is not None:
        root = blocks.boxes[comment.box].root
        return _Owner(root, index, frozenset()) if index >= 0 else None
    if index < 0:
        return _Owner(None, None, _NOT_FOR_PLANS)
    items = layout.groups[index].items
    return _Owner(None, index, _NOT_FOR_GROUPS) if not items or at < items[0].inner else None


def _report_idle(hint: Hint, findings: Findings) -> None:
    message = f"{hint.name.value} says nothing of a single item"
    is_of_group = hint.name in _ONLY_FOR_GROUPS
    advice = help_texts.ONLY_FOR_GROUP if is_of_group else help_texts.HINT_FOR_GROUP
    findings.warning("GB303", hint.span, message, advice)


def _report_ownerless(hint: Hint, owner: _Owner | None, findings: Findings) -> None:
    if owner:
        message = f"{hint.name.value} has no meaning for a whole {'plan' if owner.group is None else 'group'}"
    else:
        message = f"the hint {hint.name.value} has no owner here, and no effect"
    findings.warning("GB303", hint.span, message, help_texts.PLACE_HINT)
