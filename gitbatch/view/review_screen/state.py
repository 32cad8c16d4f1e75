"""The state of a review: which item is selected, what is chosen so far, and what the person is asked. Pure.

The screen and the plain prompts share it. Nothing is chosen by itself.
"""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.batch.history.reads import find_dependants
from gitbatch.batch.model import ItemStatus
from gitbatch.batch.planning.freed import select_freed
from gitbatch.batch.review.choices import Choice
from gitbatch.batch.review.item import REOPENED
from gitbatch.batch.review.sheet import ReviewSheet, SheetItem
from gitbatch.plan.model import ItemKey
from gitbatch.text import format_count, list_names
from gitbatch.view.eagerness import describe_early_work


class Mode(StrEnum):
    """The part that the screen shows, which decides what keys do."""

    LIST = "list"
    """The items, and the selected one in a pane."""
    PAGE = "page"
    """The selected item in full."""
    DIFF = "diff"
    """What the selected item changed."""
    HELP = "help"
    COMMENT = "comment"
    """A comment for the agent is typed."""
    UNDO = "undo"
    """A question: take the selected item back?"""
    CONTINUE = "continue"
    """A question: record what is chosen, and continue?"""
    STOP = "stop"
    """A question: record what is chosen, and stop?"""

    @property
    def is_question(self) -> bool:
        """Whether an answer is waited for: y, n or Escape, and nothing else."""
        return self in {Mode.UNDO, Mode.CONTINUE, Mode.STOP}


class ScreenRequest(StrEnum):
    """A wish of the person that the state alone cannot fulfil."""

    WRITE_COMMENT = "write-comment"
    """Open an editor for the comment."""
    SHOW_ALL = "show-all"
    """Show the changes since the last pause in the pager."""
    EDIT_OUTPUT = "edit-output"
    """Open the selected item's output in an editor."""
    CONTINUE = "continue"
    """Record what is chosen, and continue."""
    STOP = "stop"
    """Record what is chosen, and stop."""
    LEAVE = "leave"
    """Record nothing, and stop."""


class Chosen(Struct, frozen=True):
    """A decision that is not recorded yet."""

    kind: DecisionKind
    comment: str = ""
    is_freed: bool = False
    """Whether it is chosen because what blocks the item runs again."""
    undone_with: ItemKey | None = None
    """The item that it is undone with, as it was written from that one's output; it runs again."""

    @property
    def runs_again(self) -> bool:
        """Returns true if the item runs again."""
        return self.kind.reopens or self.undone_with is not None


class ReviewState(Struct, frozen=True):
    """A review that a person is at."""

    sheet: ReviewSheet
    consent: str
    """What `c` does, for the person: “continue with the next group”."""
    selected: int = 0
    chosen: Mapping[ItemKey, Chosen] = {}
    mode: Mode = Mode.LIST
    typed: str = ""
    """The comment as far as it is typed."""
    drafts: Mapping[ItemKey, str] = {}
    """Comments as they were typed last, also where another decision was chosen since, or none: `v` begins with them."""
    scroll: int = 0
    """The first line of the pane, or of the page, that is shown."""
    notice: str = ""
    """About the last key."""

    @property
    def item(self) -> SheetItem | None:
        """The selected item; None: the review has no items."""
        return self.sheet.items[self.selected] if self.sheet.items else None

    @property
    def draft(self) -> str:
        """The comment about the selected item that was typed before; empty: none was."""
        return self.drafts.get(self.item.key, "") if self.item else ""

    @property
    def runs_again(self) -> int:
        """How many items run again by what is chosen."""
        return sum(chosen.runs_again for chosen in self.chosen.values())

    @property
    def approvable(self) -> tuple[SheetItem, ...]:
        """The items that succeeded, and that nothing is decided or chosen about."""
        return tuple(i for i in self.sheet.items if i.is_undecided and i.key not in self.chosen)

    @property
    def undecided(self) -> tuple[SheetItem, ...]:
        """Those of them that this review is about: all, where the batch needs a decision about each."""
        return tuple(i for i in self.approvable if i.is_current or self.sheet.requires_approval)

    @property
    def left_failures(self) -> tuple[SheetItem, ...]:
        """The items that did not succeed, and that nothing is chosen about."""
        return tuple(i for i in self.sheet.items if i.is_failure and i.key not in self.chosen)

    @property
    def choices(self) -> tuple[Choice, ...]:
        """Returns the decisions in the order of the items, each with the version that the person has seen."""
        found = ((each, self.chosen[each.key]) for each in self.sheet.items if each.key in self.chosen)
        return tuple(
            Choice(
                c.kind,
                each.item,
                each.state.blob,
                c.comment,
                runs_again=c.undone_with is not None,
                review=each.state.review,
            )
            for each, c in found
        )


def start_review(sheet: ReviewSheet, consent: str) -> ReviewState:
    """Returns the state of a review that begins."""
    keys, early = f"c: {consent}; q: stop here; Enter decides nothing", describe_early_work(sheet.early)
    return ReviewState(sheet, consent, notice=f"{early}. {keys}" if early else keys)


def refresh_sheet(state: ReviewState, sheet: ReviewSheet, notice: str) -> ReviewState:
    """Returns a state with the sheet read again. What was chosen about another version or standing is dropped, and named."""
    before = {each.key: each for each in state.sheet.items}
    after = {each.key: each for each in sheet.items}
    same = {key for key in state.chosen if key in after and _is_same(before[key], after[key])}
    dropped = [before[key].item.name for key in state.chosen if key not in same]
    more = f"; choose again: {', '.join(dropped)}" if dropped else ""
    key = state.item.key if state.item else None
    selected = next((at for at, each in enumerate(sheet.items) if each.key == key), 0)
    chosen = {key: what for key, what in state.chosen.items() if key in same}
    return replace(
        state, sheet=sheet, chosen=chosen, selected=selected, mode=Mode.LIST, notice=f"{notice}{more}"
    )


def _is_same(before: SheetItem, after: SheetItem) -> bool:
    return (before.state.blob, before.state.review, before.state.status) == (
        after.state.blob,
        after.state.review,
        after.state.status,
    )


def choose_for(state: ReviewState, item: SheetItem, what: Chosen) -> ReviewState:
    """Returns the state with a decision chosen about an item; or a notice why it is not possible.

    What a retried item blocks is retried too, as with `gitbatch retry`.
    """
    if problem := item.problems.get(what.kind):
        return replace(state, notice=f"{item.item.name} cannot be {what.kind.word}: {problem}")
    text = f"{item.item.name}: {what.kind.word}, not recorded yet"
    return _free_blocked(state, {**_without_dependants(state, item), item.key: what}, text)


def undo_with_dependants(state: ReviewState, item: SheetItem) -> ReviewState:
    """Returns the state with an item undone, and all that was written from its output, which runs again."""
    state = choose_for(state, item, Chosen(DecisionKind.UNDO))
    keys = {each.key for each in find_dependants(state.sheet.recorded, (item.key,))}
    others = [i for i in state.sheet.items if i.key in keys and DecisionKind.UNDO not in i.problems]
    what = Chosen(DecisionKind.UNDO, undone_with=item.key)
    chosen = {**state.chosen, **{each.key: what for each in others}}
    names = list_names(tuple(each.item.name for each in others)) or "nothing"
    return _free_blocked(state, chosen, f"{state.notice}; with it, to run again: {names}")


def _without_dependants(state: ReviewState, item: SheetItem) -> dict[ItemKey, Chosen]:
    """Returns what is chosen, without what an item takes with it."""
    return {key: what for key, what in state.chosen.items() if what.undone_with != item.key}


def choose_each(
    state: ReviewState, items: tuple[SheetItem, ...], kind: DecisionKind, notice: str
) -> ReviewState:
    """Returns the state with a decision chosen about several items at once, where it is possible."""
    chosen = {item.key: Chosen(kind) for item in items if kind not in item.problems}
    return replace(_free_blocked(state, {**state.chosen, **chosen}, notice), notice=notice)


def _free_blocked(state: ReviewState, chosen: Mapping[ItemKey, Chosen], notice: str) -> ReviewState:
    """Returns the state with other choices; those for items that retried ones free are made where retries changed."""
    retried, before = _list_retried(chosen), _list_retried(state.chosen)
    if retried == before:
        return replace(state, chosen=chosen, notice=notice)
    kept = {key: what for key, what in chosen.items() if not what.is_freed}
    items = {each.key: each for each in state.sheet.items}
    again = (each.item for each in items.values() if each.key in retried or each.state.status == REOPENED)
    freed = [
        item
        for item in select_freed(state.sheet.blocked, again if retried else ())
        if item.key in items and item.key not in kept
    ]
    more = f", and what it blocks: {list_names(tuple(item.name for item in freed))}" if freed else ""
    kept |= {item.key: Chosen(DecisionKind.RETRY, is_freed=True) for item in freed}
    return replace(state, chosen=kept, notice=f"{notice}{more}")


def _list_retried(chosen: Mapping[ItemKey, Chosen]) -> frozenset[ItemKey]:
    """Returns the items that the person retries, without those that are freed thereby."""
    return frozenset(k for k, what in chosen.items() if what.kind is DecisionKind.RETRY and not what.is_freed)


def keep_draft(state: ReviewState, text: str) -> ReviewState:
    """Returns the state with a comment about the selected item kept, and typed no more."""
    kept = {**state.drafts, state.item.key: text} if state.item else state.drafts
    return replace(state, mode=Mode.LIST, typed="", drafts=kept)


def drop_choice(state: ReviewState, item: SheetItem) -> ReviewState:
    """Returns the state with nothing chosen about an item."""
    chosen = {key: what for key, what in _without_dependants(state, item).items() if key != item.key}
    what = "nothing is chosen" if item.key not in state.chosen else "no longer chosen"
    return _free_blocked(state, chosen, f"{item.item.name}: {what}")


def format_sheet(state: ReviewState) -> str:
    """Returns what the review is about, in a line: a group, or all since the last pause."""
    sheet = state.sheet
    if not sheet.number:
        return "No group has a checkpoint yet"
    current = [each for each in sheet.items if each.is_current]
    done = sum(each.state.status == ItemStatus.SUCCEEDED for each in current)
    number = f"{sheet.number}/{sheet.of}"
    single = f"Checkpoint {number}, {sheet.group}"
    what = f"{sheet.groups} groups up to checkpoint {number}" if sheet.groups > 1 else single
    return f"{what}: {done} of {format_count(len(current), 'item')} done"


def format_left(state: ReviewState) -> str:
    """Returns what is chosen and what is not, in a few words."""
    parts = (
        f"{len(state.chosen)} chosen" if state.chosen else "",
        f"{len(state.undecided)} undecided" if state.undecided else "",
        f"{len(state.left_failures)} failed" if state.left_failures else "",
    )
    return ", ".join(filter(None, parts)) or "all decided"
