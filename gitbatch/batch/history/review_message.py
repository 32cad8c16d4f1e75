"""The message of a review: the decisions of a person, with their comments as text, and the only parser of both.

A comment stands below a line that names its decision, indented, so nothing in it can be taken for a trailer or for
another comment. The trailers are the last paragraph, as in all of our commits (`trailers.py`).
"""

from collections import Counter
from collections.abc import Iterable

from msgspec.structs import replace

from gitbatch.batch.history.decisions import (
    DecisionKind,
    ItemDecision,
    clean_comment,
    render_chosen_agent,
    render_decision,
)
from gitbatch.batch.history.messages import batch_pairs, render_message
from gitbatch.batch.history.trailers import Kind, parse_trailers
from gitbatch.batch.model import BatchGroup, Record
from gitbatch.paths import quote_for_message
from gitbatch.text import CleanText, clean_text, neutralise_forge_commands

_INDENT = "    "
_QUOTED = 200
"""The most characters of a comment that the decisions log has."""


def render_review_message(record: Record, group: BatchGroup, decisions: tuple[ItemDecision, ...]) -> str:
    """Returns the message of a review.

    Args:
        record: the batch.
        group: the group of the last checkpoint that the review covers.
        decisions: all that was decided, each about another item; one that is undone may also be retried.
    """
    number, of = record.position_of(group), len(record.groups)
    paragraphs = [
        "\n".join(map(_render_line, decisions)),
        *(f"{_render_head(d)}\n{_indent(d.comment)}" for d in decisions if d.comment),
    ]
    pairs: list[tuple[str, object]] = [
        *batch_pairs(record, group),
        ("Plan", record.plan_path),
        ("Reviewed", f"{number}/{of}"),
        *(("Review", render_decision(decision)) for decision in decisions),
        *(("Review-Agent", render_chosen_agent(decision)) for decision in decisions),
    ]
    return render_message(f"gitbatch: review {number}/{of}: {count_decisions(decisions)}", paragraphs, pairs)


def parse_review_message(message: str) -> tuple[ItemDecision, ...]:
    """Returns the decisions of a review with their comments; empty if the message is not that of a review."""
    trailers = parse_trailers(message)
    if trailers.kind is not Kind.REVIEW:
        return ()
    body = message.rstrip("\n").rpartition("\n\n")[0].partition("\n\n")[2]
    comments, current = dict[str, list[str]](), list[str]()
    for line in body.split("\n"):
        if line.startswith(_INDENT) or not line:
            current.append(line.removeprefix(_INDENT))
        else:
            current = comments.setdefault(line, [])
    said = {head: clean_comment("\n".join(lines)) for head, lines in comments.items()}
    agents = {chosen.item: chosen.agent for chosen in trailers.chosen_agents}
    return tuple(
        replace(
            decision,
            comment=said.get(neutralise_forge_commands(_render_head(decision)), ""),
            agent=agents.get(decision.item, "") if decision.kind.reopens else "",
        )
        for decision in trailers.decisions
    )


def count_decisions(decisions: tuple[ItemDecision, ...]) -> str:
    """Returns a line that counts decisions by their kind: 2 approved, 1 sent back."""
    counts = Counter(decision.kind for decision in decisions)
    return ", ".join(f"{counts[kind]} {kind.word}" for kind in DecisionKind if counts[kind])


def describe_decisions(decisions: tuple[ItemDecision, ...]) -> CleanText:
    """Returns the line of a review in the decisions log: what was decided about which file, and the beginning of why."""
    said = (
        f"{d.kind.word} {quote_for_message(d.item.output)}"
        + (f" ({clean_text(d.comment, _QUOTED)})" if d.comment else "")
        for d in decisions
    )
    return clean_text("; ".join(said))


def describe_taken_back(decision: ItemDecision, texts: Iterable[str]) -> tuple[CleanText, ...]:
    """Returns the lines in the decisions log about the decisions of an agent whose item is taken back."""
    return tuple(clean_text(f"{decision.kind.word}: {text}") for text in texts)


def _render_line(decision: ItemDecision) -> str:
    by = f" by {decision.agent}" if decision.agent else ""
    return f"{decision.kind.word:<10} {quote_for_message(decision.item.output)}{by}"


def _render_head(decision: ItemDecision) -> str:
    return f"{decision.kind} {decision.item}:"


def _indent(comment: str) -> str:
    return "\n".join(f"{_INDENT}{line}" if line else "" for line in comment.split("\n"))
