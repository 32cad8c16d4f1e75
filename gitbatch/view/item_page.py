"""An item in full, for people: its result, what its agent read and said, its attempts, its checks."""

import shlex
from collections.abc import Iterator

from gitbatch.agents.protocol import FLAG_DESCRIPTIONS
from gitbatch.batch.history.effort import format_cost, format_tokens
from gitbatch.batch.history.item_details import AttemptDetails, ItemDetails, PersonDecision
from gitbatch.batch.model import ItemStatus
from gitbatch.checks.verdict import VERDICT_WORDS
from gitbatch.limits.causes import TREATMENTS, Cause
from gitbatch.limits.usage import Spent, Usage
from gitbatch.paths import quote_path
from gitbatch.text import CleanText, clean_text, format_seconds, name_host
from gitbatch.view.batch_state import ItemState
from gitbatch.view.block import Block, Cell, StyledLine, TextTable, make_line
from gitbatch.view.review import STYLES

_SHORT = 10
"""Characters of an id."""


def render_item_page(
    batch: str, item: ItemState, details: ItemDetails, errors: tuple[CleanText, ...], folder_option: str = ""
) -> Block:
    """Returns an item in full.

    Args:
        batch: the id of its batch.
        item: its state.
        details: what git knows of it.
        errors: the last lines that its agent wrote to standard error.
        folder_option: the options that name the folder again, with a space before them.
    """
    return (
        *_render_head(batch, item, details),
        *_render_words(details),
        *_render_context(details),
        *_render_attempts(details),
        *_render_checks(details),
        *_render_reviews(details.reviews),
        *_render_lines("standard error, last lines", errors),
        *_render_hints(item, details, folder_option),
    )


def _render_head(batch: str, item: ItemState, details: ItemDetails) -> Iterator[StyledLine]:
    style = next((STYLES[status] for status in ItemStatus if status == item.status), "cyan")
    title = details.title.removeprefix(item.name).strip()
    yield make_line((item.name, "bold"), f"  {title}")
    yield make_line((item.status, style), f" in group {item.group} of batch {batch}", indent=2)
    if item.reason:
        yield make_line(("reason: ", "bold"), clean_text(item.reason), indent=2)
    output = f"output: {quote_path(item.item)}"
    blob = f"  blob {details.blob[:_SHORT]}" if details.blob else ""
    yield make_line(output, (blob, "dim"), indent=2)
    if details.commit:
        what = "commit" if details.is_finished else "kept of a failed attempt: commit"
        yield make_line(
            f"{what} {details.commit[:_SHORT]}", (f" on {details.base[:_SHORT]}", "dim"), indent=2
        )
    if details.is_early:
        yield make_line("started before its group", indent=2)
    if len(details.versions) > 1:
        earlier = ", ".join(commit[:_SHORT] for commit in details.versions[:-1])
        yield make_line((f"earlier versions: {earlier}", "dim"), indent=2)
    if details.agent:
        model = details.attempts[-1].usage.model if details.attempts else ""
        host = f", on {details.host}" * bool(details.host)
        yield make_line(
            f"agent {details.agent}{f', model {clean_text(model)}' * bool(model)}{host}", indent=2
        )
    if details.criteria:
        yield make_line(f"Definition of Done: {details.criteria}", indent=2)


def _render_words(details: ItemDetails) -> Iterator[StyledLine]:
    if details.summary:
        flags = "".join(f"[{FLAG_DESCRIPTIONS[flag]}] " for flag in details.flags)
        yield make_line(("summary", "bold"))
        yield make_line((flags, "yellow"), details.summary, indent=2)
    yield from _render_lines("decisions of the agent", details.decisions)
    added = tuple(clean_text(f"{each.artifact}: {each.text}") for each in details.contributions)
    yield from _render_lines("contributions", added)


def _render_lines(title: str, lines: tuple[str, ...]) -> Iterator[StyledLine]:
    if lines:
        yield make_line((title, "bold"))
        yield from (make_line(line, indent=2) for line in lines)


def _render_context(details: ItemDetails) -> Block:
    rows = tuple(
        ((f"{number}",), ((file.blob[:_SHORT], "dim"),), (quote_path(file.path),))
        for number, file in enumerate(details.context, 1)
    )
    missing = tuple(
        make_line((f"without: {each.describe(quote_path)}", "yellow"), indent=2) for each in details.missing
    )
    if not rows and not missing:
        return ()
    return (make_line(("reads", "bold")), *((TextTable(rows),) if rows else ()), *missing)


def _render_attempts(details: ItemDetails) -> Iterator[StyledLine | TextTable]:
    if not details.attempts:
        return
    yield make_line(("attempts", "bold"))
    yield TextTable(tuple(map(_attempt_row, details.attempts)))
    for attempt in details.attempts:
        said = (*attempt.details, *(f"left in its worktree: {quote_path(path)}" for path in attempt.strays))
        if said:
            yield make_line(f"attempt {attempt.number} said:", indent=2)
            yield from (make_line((line, "dim"), indent=4) for line in said)


def _attempt_row(attempt: AttemptDetails) -> tuple[Cell, ...]:
    is_stated = attempt.cause in {None, Cause.FAILED}
    cause = f" ({TREATMENTS[attempt.cause].description})" if attempt.cause and not is_stated else ""
    spent = Spent.of_attempt(attempt.usage)
    cost = f"{format_tokens(spent.usage)}, {format_cost(spent)}" if spent.usage != Usage() else ""
    return (
        (f"{attempt.number}{f' after review {attempt.repetition}' * bool(attempt.repetition)}",),
        ((attempt.status, STYLES[attempt.status]),),
        (format_seconds(attempt.seconds),),
        ((cost, "dim"),),
        (attempt.reason, (cause, "dim"), (name_host(attempt.host), "dim")),
    )


def _render_checks(details: ItemDetails) -> Block:
    rows = tuple(
        (
            (each.name,),
            ((VERDICT_WORDS[each.verdict], "green" if each.verdict.lets_through else "red"),),
            (f"{each.seconds:.1f} s{name_host(each.host)}",),
            (clean_text(each.reason),),
        )
        for each in details.checks
    )
    return (make_line(("checks", "bold")), TextTable(rows)) if rows else ()


def _render_reviews(reviews: tuple[PersonDecision, ...]) -> Iterator[StyledLine]:
    if reviews:
        yield make_line(("decisions of a person", "bold"))
    for each in reviews:
        by = f" by {each.author}" if each.author else ""
        agent = f", for agent {each.agent}" if each.agent else ""
        yield make_line(f"{each.kind.word}{by}{agent}", (f"  commit {each.commit[:_SHORT]}", "dim"), indent=2)
        yield from (make_line(line, indent=4) for line in each.comment.splitlines())


def _render_hints(item: ItemState, details: ItemDetails, folder_option: str) -> Iterator[StyledLine]:
    word = item.name if item.name != item.item else f"{item.group}:{item.item}"  # groups may write one file
    command = f"gitbatch show{folder_option} {shlex.quote(word)}"
    diff = ("diff",) if details.commit else ()
    log = ("log",) if item.attempts or item.since else ()
    yield from (make_line((f"{option}:  {command} --{option}", "dim")) for option in (*diff, "prompt", *log))
    if item.rescued:
        yield make_line((f"take:  gitbatch rescue take{folder_option} {shlex.quote(item.name)}", "dim"))
