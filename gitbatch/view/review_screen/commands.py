"""A review in lines: the letters of the keys, with the items that they are about. Pure, but for what is read of an item."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from msgspec.structs import replace

from gitbatch.batch.history.decisions import LONGEST_COMMENT
from gitbatch.batch.model import BatchItem
from gitbatch.batch.review.sheet import SheetItem
from gitbatch.text import clean_lines, clean_text, format_count, list_names
from gitbatch.view.block import Block, Cell, TextTable, make_line
from gitbatch.view.eagerness import describe_early_work
from gitbatch.view.review_screen.draw import (
    format_decision,
    format_item_cost,
    format_question,
    format_words,
    render_plan,
)
from gitbatch.view.review_screen.keys import press_key, take_comment
from gitbatch.view.review_screen.state import (
    Mode,
    ReviewState,
    ScreenRequest,
    format_left,
    format_sheet,
)

LINES: tuple[tuple[str, str], ...] = (
    ("a ITEM…", "approve: looked at, good as it is"),
    ("A", "approve every other item that succeeded and is undecided"),
    ("v ITEM TEXT", "send back with a comment; without a text it is asked for"),
    ("x ITEM…", "reject: the file is put back, the item does not run again"),
    ("r ITEM…", "retry: an item that did not succeed runs again, with what it blocks"),
    ("R", "retry every item that did not succeed"),
    ("o ITEM", "open the output in your editor; what you change is your commit"),
    ("u ITEM", "undo: the file is put back, as with reject; w: also what was written from it"),
    ("b ITEM…", "take back what is chosen about items"),
    ("s ITEM", "the summary of an item, with reasons and checks"),
    ("f ITEM", "an item in full"),
    ("d ITEM", "the diff of an item"),
    ("D", "all changes since the last pause, in the pager"),
    ("l", "all items"),
    ("c", "record what is chosen, and continue"),
    ("q", "record what is chosen or not, and stop"),
)
"""What a line may be, and what it does."""
_OF_ITEMS = {"a": "a", "x": "x", "r": "r", "b": "backspace"}
_OF_ONE = {"v": "v", "o": "o", "u": "u", "s": "s", "f": "enter", "d": "d"}
_ALONE = frozenset("ARDcq")
_NOTHING = "."
_SHOWN = 20
"""Items that are listed before the first question; `l` lists all."""


class LineAnswer(NamedTuple):
    """The effect of a line."""

    state: ReviewState
    request: ScreenRequest | None = None
    shown: Block = ()


def follow_line(state: ReviewState, line: str, read: Callable[[ReviewState], Block]) -> LineAnswer:
    """Returns what a line does. An empty one does nothing.

    `read` returns what the mode of a state shows of the selected item.
    """
    state = replace(state, notice="")
    if state.mode.is_question:
        return _answer_question(state, line.strip().casefold())
    if state.mode is Mode.COMMENT:
        return _follow_comment(state, line)
    letter, _, rest = line.strip().partition(" ")
    if letter in _OF_ITEMS:
        return _follow_items(state, letter, rest.split())
    if letter in _OF_ONE:
        return _follow_item(state, letter, rest.strip(), read)
    return _follow_letter(state, line.strip())


def asks_on_interrupt(state: ReviewState) -> bool:
    """Whether Ctrl-C is followed by a question: something is chosen, and that question is not asked yet."""
    return bool(state.chosen) and state.mode is not Mode.STOP


def interrupt_line(state: ReviewState) -> LineAnswer:
    """Returns what Ctrl-C does instead of a line: it asks as `q` does, and a comment ends that is not written yet."""
    return _press(replace(state, mode=Mode.LIST, notice="", typed=""), "c-c")


def _answer_question(state: ReviewState, word: str) -> LineAnswer:
    key = {"y": "y", "yes": "y", "n": "n", "no": "n", "w": "w"}.get(word, "escape")
    return LineAnswer(*press_key(state, key)) if word else LineAnswer(state)


def _follow_letter(state: ReviewState, line: str) -> LineAnswer:
    if line in _ALONE:
        return _press(state, line)
    if line in {"?", "help"}:
        return LineAnswer(state, shown=render_lines())
    if line == "l":
        said = replace(state, notice=describe_early_work(state.sheet.early))
        return LineAnswer(said, shown=render_overview(state, len(state.sheet.items)))
    notice = f"unknown: {clean_text(line, 40)}; ? lists the answers" if line else ""
    return LineAnswer(replace(state, notice=notice))


def _follow_comment(state: ReviewState, line: str) -> LineAnswer:
    if not line.strip():
        return LineAnswer(state, ScreenRequest.WRITE_COMMENT)
    if line.strip() == _NOTHING:
        return LineAnswer(*press_key(state, "escape"))
    return LineAnswer(take_comment(state, line))


def _press(state: ReviewState, key: str) -> LineAnswer:
    after, request = press_key(state, key)
    return LineAnswer(after, request, render_plan(after) if after.mode in {Mode.CONTINUE, Mode.STOP} else ())


def _follow_items(state: ReviewState, letter: str, words: list[str]) -> LineAnswer:
    found = [_find_place(state, letter, word) for word in words or [""]]
    if problem := next((each for each in found if isinstance(each, str)), None):
        return LineAnswer(replace(state, notice=problem))
    notices = []
    for at in (each for each in found if isinstance(each, int)):
        state, _ = press_key(replace(state, selected=at), _OF_ITEMS[letter])
        notices.append(state.notice)
    return LineAnswer(replace(state, notice="\n".join(notices)))


def _follow_item(
    state: ReviewState, letter: str, rest: str, read: Callable[[ReviewState], Block]
) -> LineAnswer:
    word, _, text = rest.partition(" ")
    at = _find_place(state, letter, word)
    if isinstance(at, str):
        return LineAnswer(replace(state, notice=at))
    chosen = replace(state, selected=at)
    if letter == "s":
        return LineAnswer(chosen, shown=read(chosen))
    if letter == "v" and text.strip():
        return LineAnswer(take_comment(chosen, text.strip()))
    after, request = press_key(chosen, _OF_ONE[letter])
    if after.mode in {Mode.PAGE, Mode.DIFF}:
        return LineAnswer(chosen, shown=read(after))
    return LineAnswer(after, request, _render_draft(after) if after.mode is Mode.COMMENT else ())


def _render_draft(state: ReviewState) -> Block:
    """Returns the comment that was typed before, which the editor begins with."""
    draft = clean_lines(state.draft, LONGEST_COMMENT)
    return (make_line(("typed before: ", "bold"), draft),) if draft else ()


def _find_place(state: ReviewState, letter: str, word: str) -> int | str:
    """Returns the place of the item that a word names, without a word of the only one; else why it is not known."""
    items = state.sheet.items
    if not word:
        return 0 if len(items) == 1 else f"name an item: {letter} ITEM"
    found = [at for at, each in enumerate(items) if _is_named(each.item, word)]
    if len(found) > 1:
        names = list_names(tuple(items[at].item.slug for at in found))
        return f"{clean_text(word, 40)} names several items: {names}"
    return found[0] if found else f"no item is called {clean_text(word, 40)}"


def _is_named(item: BatchItem, word: str) -> bool:
    names = {item.output, item.slug, f"{item.group}:{item.output}"}
    return word in names or word.casefold() == item.name.casefold()


def render_overview(state: ReviewState, most: int = _SHOWN) -> Block:
    """Returns what the review is about, and a line for each of its first items."""
    items = state.sheet.items
    rows = tuple(_make_row(state, item) for item in items[:most])
    more = len(items) - most
    return (
        make_line((format_sheet(state), "bold")),
        *((TextTable(rows, is_cut=True),) if rows else ()),
        *((make_line(f"and {format_count(more, 'more item')}; l lists all", indent=2),) if more > 0 else ()),
        make_line(format_left(state)),
    )


def _make_row(state: ReviewState, item: SheetItem) -> tuple[Cell, ...]:
    decision, style = format_decision(state, item)
    numbers = " ".join(filter(None, (str(item.lines or ""), format_item_cost(item))))
    return (
        (item.item.name,),
        (item.state.status,),
        ((decision.strip(), style),),
        (numbers,),
        (format_words(item),),
    )


def render_lines() -> Block:
    """Returns what a line may be, with what it does."""
    widest = max(len(line) for line, _ in LINES)
    return tuple(make_line((f"{line:<{widest + 2}}", "bold"), words, indent=2) for line, words in LINES)


def render_prompt(state: ReviewState) -> str:
    """Returns what is asked for, in front of the answer."""
    name = state.item.item.name if state.item else ""
    if state.mode is Mode.COMMENT:
        editor = "that one in your editor" if state.draft else "in your editor"
        return f"Comment for {name} (empty: {editor}; a dot: nothing): "
    question = format_question(state)
    return f"{question} " if question else f"Review (c {state.consent}, q stop here, ? what else): "


def list_notices(state: ReviewState) -> Iterator[str]:
    """Yields what is to be said about the last line."""
    yield from filter(None, state.notice.split("\n"))
