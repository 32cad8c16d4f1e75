"""Drawing a review for a terminal of a size. Pure: a state, a block and a size become lines.

From the top: what the review is about; the items, around the selected one; a pane about it; what is asked; the keys.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.batch.history.effort import format_cost
from gitbatch.batch.model import ItemStatus
from gitbatch.batch.review.item import REOPENED
from gitbatch.batch.review.sheet import SheetItem
from gitbatch.paths import quote_path
from gitbatch.text import clean_text, display_width, format_count
from gitbatch.view.block import Block, Cell, StyledLine, make_line, plain_text
from gitbatch.view.cutting import cut_end, cut_start, pad_end
from gitbatch.view.review import STYLES
from gitbatch.view.review_screen.keys import KEYS
from gitbatch.view.review_screen.layout import cut_line, fold_line, lay_out
from gitbatch.view.review_screen.state import Mode, ReviewState, format_left, format_sheet

SMALLEST = (80, 24)
"""Columns and lines below which plain prompts ask instead."""
_KEY_LINES = (
    "a approve  A the rest  v send back  x reject  r retry  R all failed  u undo",
    "Enter full  d diff  D all  o edit  Backspace drop  c continue  q stop  ? keys",
)
_READING_KEYS = ("arrows, PageUp, PageDown scroll  d diff  Esc back",)
_COMMENT_KEYS = ("Enter take it  Ctrl-E in your editor  Esc nothing",)
_NAME_WIDTH, _DECISION_WIDTH = 16, 9
"""Columns that a name may have, and those of the longest decision."""
_ITEM_STYLES = {**{str(status): style for status, style in STYLES.items()}, REOPENED: "yellow"}
_NUMBER_OF_ATTEMPTS = " and "
_COMMENT_SHOWN = 300
"""Characters of a comment that are shown before it is recorded."""
_NOTICE_LINES = 3
"""The most lines that a notice takes."""
_TAIL = 4
"""Characters that are looked at for a column: some have no width."""


class _Columns(NamedTuple):
    """The widths of the columns of the list."""

    name: int
    status: int
    decision: int
    lines: int
    cost: int


def _measure_columns(state: ReviewState) -> _Columns:
    items = state.sheet.items
    return _Columns(
        min(_NAME_WIDTH, max((display_width(each.item.name) for each in items), default=0)),
        max((len(each.state.status) for each in items), default=0),
        _DECISION_WIDTH,
        max((len(str(each.lines or "")) for each in items), default=0),
        max((len(format_item_cost(each)) for each in items), default=0),
    )


def draw_review(state: ReviewState, content: Block, width: int, height: int) -> tuple[Cell, ...]:
    """Returns exactly `height` lines, each of exactly `width` columns.

    Args:
        state: the review.
        content: of the selected item what the mode shows: its pane, its page, or its diff.
        width: columns of the terminal.
        height: lines of the terminal.
    """
    foot = tuple(_draw_foot(state, width))
    room = max(0, height - 1 - len(foot))
    if state.mode in {Mode.LIST, Mode.COMMENT, Mode.UNDO}:
        body = _draw_list(state, content, width, room)
    else:
        body = _draw_page(state, _page_content(state, content), width, room)
    filled = (*body, *[()] * (room - len(body)))
    lines = (_draw_title(state, width), *filled, *foot)
    return tuple(cut_line(line, width) for line in lines[:height])


def _draw_title(state: ReviewState, width: int) -> Cell:
    left = format_left(state)
    room = max(0, width - display_width(left) - 3)
    return ((pad_end(cut_end(f" {format_sheet(state)}", room), room + 2), "bold"), (left, "yellow"))


def _draw_list(state: ReviewState, pane: Block, width: int, room: int) -> tuple[Cell, ...]:
    count = len(state.sheet.items)
    rows = min(count, max(1, room // 2))
    first = max(0, min(state.selected - rows // 2, count - rows))
    shown = range(first, first + rows)
    columns = _measure_columns(state)
    drawn = [_draw_item(state, at, columns, width) for at in shown]
    above, below = first, count - first - rows
    more = f" {above} above, {below} below " if above or below else ""
    name = f" {_describe_item(state)} " if state.item else ""
    rule_room = max(0, width - display_width(more) - 4)
    rule = (("──", "dim"), (cut_end(name, rule_room), "bold"))
    used = 2 + display_width(cut_end(name, rule_room)) + display_width(more)
    divider = (*rule, ("─" * max(0, width - used), "dim"), (more, "dim"))
    lines = _cached_layout((*_render_comment(state), *pane), width)
    return (*drawn, divider, *_scroll(lines, state.scroll, max(0, room - rows - 1)))


def _render_comment(state: ReviewState) -> Block:
    """Returns the comment that is chosen for the selected item, or that was typed for it."""
    chosen = state.chosen.get(state.item.key) if state.item else None
    comment = chosen.comment if chosen else ""
    if comment or not state.draft or state.mode is Mode.COMMENT:
        return (
            (make_line(("your comment: ", "bold"), clean_text(comment, _COMMENT_SHOWN)),) if comment else ()
        )
    return (make_line(("typed, not chosen (v): ", "dim"), clean_text(state.draft, _COMMENT_SHOWN)),)


def _describe_item(state: ReviewState) -> str:
    if state.item is None:
        return ""
    item = state.item
    title = item.title.removeprefix(item.item.name).strip()
    path = quote_path(item.item.output)
    return f"{item.item.name}  {title}" if item.item.name != path else title


def _draw_item(state: ReviewState, at: int, columns: "_Columns", width: int) -> Cell:
    item = state.sheet.items[at]
    is_selected = at == state.selected
    decision, style = format_decision(state, item)
    cells = (
        ("> " if is_selected else "  ", ""),
        (pad_end(cut_start(item.item.name, columns.name), columns.name + 2), "bold"),
        (pad_end(item.state.status, columns.status + 1), _ITEM_STYLES.get(item.state.status, "cyan")),
        (pad_end(decision, columns.decision + 4), style),
        (pad_end(str(item.lines or ""), columns.lines + 2), "cyan"),
        (pad_end(format_item_cost(item), columns.cost + 2) if columns.cost else "", "dim"),
        (format_words(item), ""),
    )
    return ((plain_text(cut_line(cells, width)), "reverse"),) if is_selected else cells


def format_decision(state: ReviewState, item: SheetItem) -> tuple[str, str]:
    """Returns what is chosen about an item, marked, or what is recorded."""
    if chosen := state.chosen.get(item.key):
        return f"* {chosen.kind.word}", "bold yellow"
    if item.state.decision:
        return f"  {item.state.decision.word}", "dim"
    return "  -", "dim"


def format_item_cost(item: SheetItem) -> str:
    """Returns what an item cost so far; empty: unknown."""
    if item.spent is None or item.spent.usage.cost is None:
        return ""
    return format_cost(item.spent).partition(_NUMBER_OF_ATTEMPTS)[0]


def format_words(item: SheetItem) -> str:
    """Returns why an item did not succeed, else what it is about."""
    title = item.title.removeprefix(item.item.name).strip()
    return clean_text(item.state.reason) or title


def _page_content(state: ReviewState, content: Block) -> Block:
    if state.mode is Mode.HELP:
        return render_help()
    return render_plan(state) if state.mode in {Mode.CONTINUE, Mode.STOP} else content


def render_help() -> Block:
    """Returns the keys with what they do."""
    widest = max(len(key) for key, _ in KEYS)
    return tuple(make_line((pad_end(key, widest + 2), "bold"), words, indent=1) for key, words in KEYS)


def render_plan(state: ReviewState) -> Block:
    """Returns what recording a review will do, before it is done."""
    return tuple(_plan_lines(state))


def _plan_lines(state: ReviewState) -> Iterator[StyledLine]:
    if state.chosen:
        yield make_line((f"One commit with {format_count(len(state.chosen), 'decision')}:", "bold"))
    for kind in DecisionKind:
        for choice in (each for each in state.choices if each.kind is kind):
            again = ", and runs again" if choice.runs_again else ""
            yield make_line(
                (f"  {kind.word:<{_DECISION_WIDTH}} ", _KIND_STYLES[kind]), f"{choice.item.name}{again}"
            )
            if choice.comment:
                yield make_line(("> ", "dim"), clean_text(choice.comment, _COMMENT_SHOWN), indent=4)
    if state.runs_again:
        yield make_line(f"{format_count(state.runs_again, 'item')} will run again before anything else.")
    for title, items in (("undecided", state.undecided), ("failed, left as they are", state.left_failures)):
        if items:
            yield make_line((f"{title}: ", "yellow"), ", ".join(each.item.name for each in items))


_KIND_STYLES: Mapping[DecisionKind, str] = {
    DecisionKind.APPROVE: "green",
    DecisionKind.REVISE: "yellow",
    DecisionKind.REJECT: STYLES[ItemStatus.REJECTED],
    DecisionKind.RETRY: "yellow",
    DecisionKind.UNDO: STYLES[ItemStatus.REJECTED],
}


def _draw_page(state: ReviewState, content: Block, width: int, room: int) -> tuple[Cell, ...]:
    return _scroll(_cached_layout(content, width), state.scroll, room)


def _scroll(lines: tuple[Cell, ...], scroll: int, room: int) -> tuple[Cell, ...]:
    """Returns the lines that are shown; the last one says how many are below."""
    first = max(0, min(scroll, len(lines) - room))
    shown = lines[first : first + room]
    left = len(lines) - first - len(shown)
    if not left or not shown:
        return shown
    return (*shown[:-1], ((f"… {format_count(left + 1, 'more line')} (PageDown)", "dim"),))


@lru_cache(maxsize=4)
def _cached_layout(content: Block, width: int) -> tuple[Cell, ...]:
    return lay_out(content, width)


def _draw_foot(state: ReviewState, width: int) -> Iterator[Cell]:
    """Yields the last lines: what is asked or said, and the keys."""
    yield (("─" * width, "dim"),)
    if question := format_question(state):
        yield ((cut_end(question, width), "bold"),)
    elif state.mode is Mode.COMMENT:
        prompt = f"comment for {state.item.item.name if state.item else ''}: "
        room = max(1, width - display_width(prompt))
        tail = state.typed[-_TAIL * width :].replace("\n", "⏎")  # cutting a text at its start takes long
        yield ((prompt, "bold"), cut_start(clean_text(f"{tail}_", len(tail) + 1), room))
    else:
        yield from _draw_notice(state.notice, width)
    yield from (((line, "dim"),) for line in _choose_keys(state))


def _draw_notice(notice: str, width: int) -> Iterator[Cell]:
    """Yields a notice in as many lines as it takes, up to a few: why something was refused stands at its end."""
    lines = [plain_text(line) for line in fold_line((notice,), width)] or [""]
    shown = (*lines[: _NOTICE_LINES - 1], " ".join(line.strip() for line in lines[_NOTICE_LINES - 1 :]))
    yield from (((cut_end(line, width), "yellow"),) for line in shown[: len(lines)])


def format_question(state: ReviewState) -> str:
    """Returns what is asked, with the answers; empty: nothing is."""
    what = "record this and " if state.chosen else ""
    consent = "run it before what is left" if state.runs_again else state.consent
    name = cut_start(state.item.item.name, _NAME_WIDTH) if state.item else ""
    return {
        Mode.UNDO: f"Undo {name}: file put back? (y, n; w: also what was written from it)",
        Mode.CONTINUE: f"{what}{consent}? (y, n)".capitalize(),
        Mode.STOP: "Stop here: record this? (y record, n drop it, Esc back)",
    }.get(state.mode, "")


def _choose_keys(state: ReviewState) -> tuple[str, ...]:
    if state.mode is Mode.COMMENT:
        return _COMMENT_KEYS
    if state.mode is Mode.LIST:
        return _KEY_LINES
    return () if state.mode.is_question else _READING_KEYS
