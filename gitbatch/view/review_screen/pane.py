"""The selected item in a few lines: reason, summary, checks, the words of its agent as quoted text. Pure."""

from collections.abc import Iterator

from gitbatch.agents.protocol import FLAG_DESCRIPTIONS
from gitbatch.batch.history.item_details import ItemDetails
from gitbatch.batch.review.sheet import SheetItem
from gitbatch.checks.verdict import VERDICT_WORDS
from gitbatch.paths import quote_path
from gitbatch.text import clean_text
from gitbatch.view.block import Block, StyledLine, make_line
from gitbatch.view.diff import paint_diff

LONGEST_DIFF = 2_000
"""Lines of a diff that the screen shows."""
_QUOTE = "> "


def render_pane(item: SheetItem, details: ItemDetails) -> Block:
    """Returns what a decision about an item needs."""
    return (
        *_render_state(item),
        *_render_summary(details),
        *_render_checks(details),
        *_render_quotes("decisions of the agent", details.decisions),
        *_render_attempts(item, details),
        *_render_quotes("earlier decisions of a person", tuple(_list_reviews(details))),
        make_line(("output: ", "dim"), quote_path(item.item.output)),
    )


def _render_state(item: SheetItem) -> Iterator[StyledLine]:
    if item.state.reason:
        yield make_line(("reason: ", "bold"), clean_text(item.state.reason))


def _render_summary(details: ItemDetails) -> Iterator[StyledLine]:
    if details.summary:
        flags = "".join(f"[{FLAG_DESCRIPTIONS[flag]}] " for flag in details.flags)
        yield make_line((flags, "yellow"), details.summary)


def _render_checks(details: ItemDetails) -> Iterator[StyledLine]:
    for check in details.checks:
        style = "green" if check.verdict.lets_through else "red"
        reason = f": {clean_text(check.reason)}" if check.reason else ""
        yield make_line(f"check {check.name} ", (VERDICT_WORDS[check.verdict], style), reason)


def _render_quotes(title: str, lines: tuple[str, ...]) -> Iterator[StyledLine]:
    if lines:
        yield make_line((f"{title}:", "bold"))
        yield from (make_line((_QUOTE, "dim"), line) for line in lines)


def _render_attempts(item: SheetItem, details: ItemDetails) -> Iterator[StyledLine]:
    """Yields why attempts failed, and what was said then, as far as the reason of the item does not say it."""
    known = item.state.reason
    for attempt in details.attempts:
        said = tuple(line for line in attempt.details if line not in known)
        if attempt.reason and (said or attempt.reason not in known):
            yield make_line((f"attempt {attempt.number}: ", "bold"), attempt.reason)
            yield from (make_line((_QUOTE, "dim"), (line, "dim")) for line in said)


def _list_reviews(details: ItemDetails) -> Iterator[str]:
    for review in details.reviews:
        first, *others = (
            f"{review.kind.word}: {review.comment}" if review.comment else review.kind.word
        ).splitlines()
        yield first
        yield from others


def list_about(item: SheetItem, summary: str) -> tuple[str, ...]:
    """Returns lines that remind of an item while a comment about it is written."""
    title = item.title.removeprefix(item.item.name).strip()
    said = (f"summary: {summary}",) if summary else ()
    return (f"{item.item.name}  {title}", *said)


def render_diff_page(diff: bytes, command: str) -> Block:
    """Returns a diff as lines; what a terminal would hide or obey in it is spelled.

    `command`: what shows all of it.
    """
    lines = tuple(paint_diff(diff))
    if not lines:
        return (make_line(("nothing is different", "dim")),)
    more = len(lines) - LONGEST_DIFF
    shown = tuple(make_line(*line) for line in lines[:LONGEST_DIFF])
    return (*shown, make_line((f"… and {more:,} more lines: {command}", "yellow"))) if more > 0 else shown
