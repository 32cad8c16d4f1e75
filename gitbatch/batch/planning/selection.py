"""Selecting the items of a batch by the words of `--items`; what they name runs in the order of the plan.

all, open             every open item
failed                every open item whose last outcome in the plan's last batch was no success
group:1-2, group:2,4  the open items of groups by number
group:Guides          the open items of the groups with that title; titles are compared as a plan's are
T1*, docs/?.md        the open items whose id or output path matches
T101, docs/a.md       an item by id, in any case, or by output path; 2:docs/a.md where groups share the path
"""

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase

from gitbatch.batch.model import BatchGroup, BatchItem
from gitbatch.errors import UsageError
from gitbatch.patterns import compile_later
from gitbatch.plan.model import ItemReference, Plan, WorkItem
from gitbatch.plan.spelling import nearest
from gitbatch.plan.titles import normalise, slugify
from gitbatch.text import clean_text

FindFailed = Callable[[], frozenset[ItemReference]]
"""Returns the items whose last outcome in the plan's last batch was no success."""

FAILED = "failed"
_GROUP = "group:"
_NUMBERS = compile_later(r"[0-9]+(?:-[0-9]+)?")
_PATTERN = compile_later(r"[*?]|\[.+\]")
_SHOWN = 40
"""The most letters of a word that a message shows."""
_EDITS = 2
"""A name with at most this many letters wrong is suggested."""


def _find_none() -> frozenset[ItemReference]:
    raise UsageError("failed items are not known here", "name the items by id or output path")


def select_items(plan: Plan, choice: str, find_failed: FindFailed = _find_none) -> tuple[WorkItem, ...]:
    """Returns the open items that the words of a choice name, in the order of the plan.

    Raises:
        UsageError: a word names nothing in the plan, or an item that is done.
    """
    words = tuple(_split_words(plan, choice))
    if not words:
        raise UsageError(
            "--items is empty", "use all, group:1-2, or ids and output paths with commas between"
        )
    chosen = {item.reference for word in words for item in _select_word(plan, word, find_failed)}
    return tuple(item for item in plan.items if item.reference in chosen)


def _split_words(plan: Plan, choice: str) -> Iterator[str]:
    """Yields the words of a choice. A comma may also be part of a path or a title, or between the numbers of groups."""
    whole = choice.strip()
    title = whole[len(_GROUP) :] if whole.casefold().startswith(_GROUP) else ""
    if _find_items(plan, whole) or (title and _find_groups(plan, title)):
        yield whole
        return
    is_number_list = False
    for word in filter(None, map(str.strip, choice.split(","))):
        begins = word.casefold().startswith(_GROUP) and _NUMBERS.fullmatch(word[len(_GROUP) :])
        is_number_list = bool(begins or (is_number_list and _NUMBERS.fullmatch(word)))
        yield f"{_GROUP}{word}" if is_number_list and not begins else word


def _select_word(plan: Plan, word: str, find_failed: FindFailed) -> Iterable[WorkItem]:
    open_items = [item for item in plan.items if not item.done]
    folded = word.casefold()
    if folded in {"all", "open"}:
        return open_items
    if folded == FAILED:
        return _select_failed(open_items, find_failed())
    if folded.startswith(_GROUP):
        groups = _select_groups(plan, word[len(_GROUP) :].strip())
        return [item for item in open_items if item.group in groups]
    found = _find_items(plan, word)
    if not found and _PATTERN.search(word):
        return _match_pattern(open_items, word)
    return (_require_one(plan, word, found),)


def _select_failed(open_items: list[WorkItem], failed: frozenset[ItemReference]) -> list[WorkItem]:
    found = [item for item in open_items if item.reference in failed]
    if not found:
        raise UsageError(
            "--items failed names nothing: no open item failed in the last batch",
            "see what is open: gitbatch plan",
        )
    return found


def _select_groups(plan: Plan, name: str) -> frozenset[int]:
    """Returns the numbers of the groups that a title, a number or a range of numbers names."""
    titled = _find_groups(plan, name)
    if titled or not _NUMBERS.fullmatch(name):
        return titled or _refuse_group(plan, name)
    low, _, high = name.partition("-")
    first, last = _parse_bounded(low), _parse_bounded(high or low)
    if not 1 <= first <= last <= len(plan.groups):
        _refuse_group(plan, name)
    return frozenset(range(first, last + 1))


def _parse_bounded(digits: str) -> int:
    """Returns a number, or one that is larger than any group's: `int` raises for more than 4,300 digits."""
    return int(digits.lstrip("0")[:9] or 0)


def _find_groups(plan: Plan, title: str) -> frozenset[int]:
    wanted = normalise(title)
    return frozenset(group.number for group in plan.groups if wanted and normalise(group.title) == wanted)


def _refuse_group(plan: Plan, name: str) -> frozenset[int]:
    meant = nearest(normalise(name), (normalise(group.title) for group in plan.groups), _EDITS)
    advice = f"did you mean group:{meant}?" if meant else "see gitbatch plan for their titles"
    raise UsageError(
        f"group:{clean_text(name, _SHOWN)} is not in the plan",
        f"its groups are 1 to {len(plan.groups)}: {advice}",
    )


def _match_pattern(open_items: list[WorkItem], pattern: str) -> list[WorkItem]:
    folded = pattern.casefold()
    found = [
        item
        for item in open_items
        if any(fnmatchcase(name.casefold(), folded) for name in (item.id, item.output) if name)
    ]
    if not found:
        raise UsageError(
            f"no open item has an id or output path like {clean_text(pattern, _SHOWN)!r}",
            "see gitbatch plan for what is open",
        )
    return found


def _find_items(plan: Plan, name: str) -> list[WorkItem]:
    """Returns the items with an output path or, in any case, with an id; `2:docs/a.md` is the one of group 2."""
    exact = [item for item in plan.items if name in (item.output, item.reference, item.id)]
    return exact or [item for item in plan.items if item.id and item.id.casefold() == name.casefold()]


def _require_one(plan: Plan, name: str, found: list[WorkItem]) -> WorkItem:
    shown = clean_text(name, _SHOWN)
    if not found:
        known = (text for item in plan.items for text in (item.id, item.output) if text)
        meant = nearest(name, known, _EDITS)
        advice = f"did you mean {meant}?" if meant else "see gitbatch plan for the ids and output paths"
        raise UsageError(f"no item is called {shown!r}", advice)
    if len(found) > 1:
        listed = " or ".join(item.reference for item in found)
        raise UsageError(f"{len(found)} items are called {shown}", f"name the one that you mean: {listed}")
    if found[0].done:
        raise UsageError(
            f"{shown} is done: its box is ticked", "untick it in the plan and commit that, to run it again"
        )
    return found[0]


def group_items(plan: Plan, items: Iterable[WorkItem]) -> tuple[BatchGroup, ...]:
    """Returns the chosen items by group, with the names of their branches."""
    chosen = {item.reference for item in items}
    groups = []
    for group in plan.groups:
        taken: set[str] = set()
        members = tuple(
            BatchItem(item.output, item.name, item.title, _make_slug(item, group.number, taken), group.number)
            for item in group.items
            if item.reference in chosen
        )
        if members:
            groups.append(BatchGroup(group.number, group.title, members))
    return tuple(groups)


def _make_slug(item: WorkItem, group: int, taken: set[str]) -> str:
    stem = f"{group}-{slugify(item.id or item.title)}"
    slug, count = stem, 1
    while slug in taken:
        count += 1
        slug = f"{stem}-{count}"
    taken.add(slug)
    return slug
