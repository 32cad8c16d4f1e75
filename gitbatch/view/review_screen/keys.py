"""The effect of each key of a review on its state. Pure.

Enter decides nothing, and a question takes the letters that it names or Escape, nothing else. Keys are characters, or names such as `up`.
"""

from collections.abc import Callable, Mapping

from msgspec.structs import replace

from gitbatch.batch.history.decisions import DecisionKind, clean_comment
from gitbatch.batch.model import ItemStatus
from gitbatch.text import list_names
from gitbatch.view.review_screen.state import (
    Chosen,
    Mode,
    ReviewState,
    ScreenRequest,
    choose_each,
    choose_for,
    drop_choice,
    keep_draft,
    undo_with_dependants,
)

KEYS: tuple[tuple[str, str], ...] = (
    ("a", "approve: looked at, good as it is"),
    ("A", "approve every other item that succeeded and is undecided"),
    ("v", "send back: it runs again on its own output, with your comment"),
    ("x", "reject: the file is put back, the item does not run again"),
    ("r", "retry: an item that did not succeed runs again, and what it blocks"),
    ("R", "retry every item that did not succeed"),
    ("o", "open the output in your editor; what you change is your commit"),
    ("u", "undo: the file is put back, as with reject; w: also what was written from it"),
    ("Backspace", "take back what is chosen about the item"),
    ("Enter", "the item in full"),
    ("d", "the diff of the item"),
    ("D", "all changes since the last pause, in the pager"),
    ("arrows, j k", "another item; PageUp and PageDown scroll"),
    ("c", "record what is chosen, and continue"),
    ("q", "record what is chosen or not, and stop"),
    ("?", "these keys"),
)
"""The keys and what they do, as the help shows them."""
PAGE_LINES = 10
"""Lines that PageUp and PageDown scroll by."""
_UP, _DOWN = frozenset({"up", "k"}), frozenset({"down", "j"})
_SCROLLS = {"pageup": -PAGE_LINES, "pagedown": PAGE_LINES, " ": PAGE_LINES}
_ENDS = frozenset({"escape", "enter", "q"})

Step = tuple[ReviewState, ScreenRequest | None]
"""A state, and what is to be done besides."""


def press_key(state: ReviewState, key: str) -> Step:
    """Returns what a key does: the next state, and what the state alone cannot do."""
    if key == "c-c":
        return _interrupt(state)
    if state.mode is Mode.COMMENT:
        return _type_comment(state, key)
    if state.mode.is_question:
        return _answer(state, key)
    if state.mode is not Mode.LIST:
        return _read_page(state, key), None
    return _choose(replace(state, notice=""), key)


def paste_text(state: ReviewState, text: str) -> ReviewState:
    """Returns the state after a text was pasted: into a comment, and nowhere else."""
    if state.mode is not Mode.COMMENT:
        return replace(state, notice="a pasted text is not a key")
    return replace(state, typed=state.typed + text)


def take_comment(state: ReviewState, text: str) -> ReviewState:
    """Returns the state with the selected item sent back with a comment; without one, nothing changes."""
    ended = keep_draft(state, text.strip("\n"))
    if state.item is None or not clean_comment(text).strip():
        return replace(ended, notice="no comment: nothing has changed")
    return choose_for(ended, state.item, Chosen(DecisionKind.REVISE, text))


def _interrupt(state: ReviewState) -> Step:
    """Returns what Ctrl-C does: it ends a comment, asks as `q` does where something is chosen, and then leaves."""
    if state.mode is Mode.COMMENT and state.typed:
        return _leave_comment(state), None
    if state.chosen and state.mode is not Mode.STOP:
        return replace(state, mode=Mode.STOP, scroll=0, typed=""), None
    return state, ScreenRequest.LEAVE


def _choose(state: ReviewState, key: str) -> Step:
    if key in _UP or key in _DOWN:
        return _move(state, -1 if key in _UP else 1), None
    if key in {"home", "end"}:
        return _move(state, len(state.sheet.items) * (-1 if key == "home" else 1)), None
    if key in _SCROLLS:
        return replace(state, scroll=max(0, state.scroll + _SCROLLS[key])), None
    act = _ACTS.get(key)
    return act(state) if act else (state, None)


def _move(state: ReviewState, by: int) -> ReviewState:
    last = max(0, len(state.sheet.items) - 1)
    return replace(state, selected=min(last, max(0, state.selected + by)), scroll=0)


def _decide(kind: DecisionKind) -> Callable[[ReviewState], Step]:
    def decide(state: ReviewState) -> Step:
        return (choose_for(state, state.item, Chosen(kind)) if state.item else state), None

    return decide


def _approve_rest(state: ReviewState) -> Step:
    notice = f"approved, not recorded yet: {len(state.approvable)}"
    return choose_each(state, state.approvable, DecisionKind.APPROVE, notice), None


def _retry_failed(state: ReviewState) -> Step:
    failed = tuple(each for each in state.sheet.items if each.is_failure)
    if not failed:
        return replace(state, notice="every item has succeeded"), None
    notice = f"retried, not recorded yet: {len(failed)}"
    return choose_each(state, failed, DecisionKind.RETRY, notice), None


def _begin_comment(state: ReviewState) -> Step:
    if state.item is None:
        return state, None
    if problem := state.item.problems.get(DecisionKind.REVISE):
        return replace(state, notice=f"{state.item.item.name} cannot be sent back: {problem}"), None
    return replace(state, mode=Mode.COMMENT, typed=state.draft), None


def _begin_undo(state: ReviewState) -> Step:
    if state.item is None:
        return state, None
    if problem := state.item.problems.get(DecisionKind.UNDO):
        return replace(state, notice=f"{state.item.item.name} cannot be undone: {problem}"), None
    return replace(state, mode=Mode.UNDO), None


def _drop(state: ReviewState) -> Step:
    return (drop_choice(state, state.item) if state.item else state), None


def _edit_output(state: ReviewState) -> Step:
    if state.item is None:
        return state, None
    if state.item.state.blob is None or state.item.state.status != ItemStatus.SUCCEEDED:
        return replace(state, notice=f"{state.item.item.name} has no output on the branch to edit"), None
    return state, ScreenRequest.EDIT_OUTPUT


def _show(mode: Mode) -> Callable[[ReviewState], Step]:
    def show(state: ReviewState) -> Step:
        return (replace(state, mode=mode, scroll=0) if state.item or mode is Mode.HELP else state), None

    return show


def _ask_to_continue(state: ReviewState) -> Step:
    if state.sheet.requires_approval and state.undecided:
        names = list_names(tuple(each.item.name for each in state.undecided))
        return replace(state, notice=f"undecided (review.require-approval): {names}"), None
    if not (state.chosen or state.undecided or state.left_failures):
        return state, ScreenRequest.CONTINUE
    return replace(state, mode=Mode.CONTINUE, scroll=0), None


def _ask_to_stop(state: ReviewState) -> Step:
    return (replace(state, mode=Mode.STOP, scroll=0), None) if state.chosen else (state, ScreenRequest.STOP)


_ACTS: Mapping[str, Callable[[ReviewState], Step]] = {
    "a": _decide(DecisionKind.APPROVE),
    "A": _approve_rest,
    "v": _begin_comment,
    "x": _decide(DecisionKind.REJECT),
    "r": _decide(DecisionKind.RETRY),
    "R": _retry_failed,
    "o": _edit_output,
    "u": _begin_undo,
    "backspace": _drop,
    "enter": _show(Mode.PAGE),
    "d": _show(Mode.DIFF),
    "D": lambda state: (state, ScreenRequest.SHOW_ALL),
    "?": _show(Mode.HELP),
    "c": _ask_to_continue,
    "q": _ask_to_stop,
}


def _read_page(state: ReviewState, key: str) -> ReviewState:
    """Returns the state of a page that is read: keys scroll, or end it."""
    scrolls = {"up": -1, "k": -1, "down": 1, "j": 1, "home": -state.scroll, **_SCROLLS}
    if key in scrolls:
        return replace(state, scroll=max(0, state.scroll + scrolls[key]))
    opened = {"d": Mode.DIFF, "?": Mode.HELP}.get(key)
    if opened and opened is not state.mode:
        return replace(state, mode=opened, scroll=0)
    is_end = key in _ENDS or opened is state.mode
    return replace(state, mode=Mode.LIST, scroll=0) if is_end else state


def _type_comment(state: ReviewState, key: str) -> Step:
    if key == "escape":
        return _leave_comment(state), None
    if key == "enter":
        return take_comment(state, state.typed), None
    if key == "c-e":
        return replace(state, drafts=keep_draft(state, state.typed).drafts), ScreenRequest.WRITE_COMMENT
    if key == "backspace":
        return replace(state, typed=state.typed[:-1]), None
    return (replace(state, typed=state.typed + key) if len(key) == 1 else state), None


def _leave_comment(state: ReviewState) -> ReviewState:
    kept = "; v begins with what you have typed" if state.typed.strip() else ""
    return replace(keep_draft(state, state.typed), notice=f"nothing has changed{kept}")


def _answer(state: ReviewState, key: str) -> Step:
    """Returns what an answer does. Enter is not one."""
    if key in _SCROLLS or key in {"up", "down"}:
        by = {"up": -1, "down": 1, **_SCROLLS}[key]
        return replace(state, scroll=max(0, state.scroll + by)), None
    back = replace(state, mode=Mode.LIST, scroll=0)
    if key == "w" and state.mode is Mode.UNDO and state.item:
        return undo_with_dependants(back, state.item), None
    if key == "y":
        return _agree(back, state.mode)
    if key == "n" and state.mode is Mode.STOP:
        return back, ScreenRequest.LEAVE
    return (replace(back, notice="nothing has changed"), None) if key in {"n", "escape"} else (state, None)


def _agree(state: ReviewState, asked: Mode) -> Step:
    if asked is Mode.UNDO:
        undone = choose_for(state, state.item, Chosen(DecisionKind.UNDO)) if state.item else state
        return undone, None
    return state, ScreenRequest.CONTINUE if asked is Mode.CONTINUE else ScreenRequest.STOP
