"""Commit messages: written for people, with trailers from which the state of a batch is derived.

Texts of agents arrive here as single clean lines. Trailers are the last paragraph, which only gitbatch writes (see
`trailers.py`), so no text can be taken for a trailer. No program reads the rest of a message.
"""

import re
import textwrap
from collections.abc import Callable, Iterator

from gitbatch.agents.protocol import FLAG_DESCRIPTIONS, Reply
from gitbatch.batch.history.effort import format_effort, format_gate_effort, format_reason, format_usage
from gitbatch.batch.history.item_message import COUNTS
from gitbatch.batch.history.trailers import (
    render_failed,
    render_missing_input,
    render_rescued,
    render_trailers,
)
from gitbatch.batch.model import (
    MOST_OUTCOMES,
    BatchGroup,
    BatchItem,
    CriterionState,
    FailedAttempt,
    Outcome,
    Record,
)
from gitbatch.batch.verdicts import GateVerdict, describe_state
from gitbatch.checks.verdict import CheckResult
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Spent, Usage
from gitbatch.paths import quote_for_message
from gitbatch.patterns import compile_later
from gitbatch.project.context import ContextFile
from gitbatch.project.manifest import LISTED, NO_OUTPUTS, Manifest
from gitbatch.text import clean_text, format_count, list_names, neutralise_forge_commands

_WIDTH = 72
_BASE = "gitbatch: base of "
"""The beginning of the subject of a merge that an item starts from."""
_END = compile_later(r"^(?=---|diff -|Index: )", re.MULTILINE)
"""Line beginnings at which `git interpret-trailers` and `git am` end a message."""


def render_item_message(  # noqa: PLR0913, PLR0917 - each is a trailer
    record: Record,
    group: BatchGroup,
    outcome: Outcome,
    agent: str,
    context: tuple[ContextFile, ...],
    dod: tuple[int, ...],
    plan_item: str = "",
) -> str:
    """Returns the message of an item's commit. `plan_item`: see `ScheduledItem`."""
    reply, spent = outcome.reply or Reply(clean_text("")), outcome.spent
    pairs: list[tuple[str, object]] = [
        *batch_pairs(record, group),
        ("Item", outcome.item.output),
        ("Agent", agent),
        ("Model", spent.usage.model),
        ("Attempt", outcome.attempts),
        *(("Earlier", f"{tried.number}: {format_reason(tried)}") for tried in outcome.earlier),
        ("Waited", f"{outcome.waited:.1f}" if round(outcome.waited, 1) else ""),
        ("Seconds", f"{outcome.seconds:.1f}"),
        ("Host", outcome.host),
        *_spent_pairs(spent),
        *_context_pairs(record, context),
        *(("Missing", render_missing_input(missing)) for missing in outcome.missing),
        ("Plan-Item", plan_item),
        ("DoD", ", ".join(f"#{number}" for number in dod)),
        *(("Decision", decision) for decision in reply.decisions),
        *(("Contribution", f"{c.artifact}: {c.text}") for c in reply.contributions),
        *(("Flag", flag) for flag in reply.flags),
        *(("Check", _render_check(check)) for check in outcome.checks),
    ]
    return render_message(outcome.item.title, [_END.sub(" ", _wrap_text(reply.summary))], pairs)


def render_rescue_message(
    record: Record,
    group: BatchGroup,
    tried: FailedAttempt,
    cause: Cause,
    agent: str,
    context: tuple[ContextFile, ...],
) -> str:
    """Returns the message of a rescue commit: it keeps the output of a failed attempt, and is not an item's commit.

    `cause`: why that output was not accepted (see `rescue.py`).
    """
    item, spent = next(i for i in group.items if i.key == tried.slug), Spent.of_attempt(tried.usage)
    details = "\n".join(f"    {line}" for line in tried.details)
    pairs: list[tuple[str, object]] = [
        *batch_pairs(record, group),
        ("Rescued", render_rescued(item.output, format_reason(tried))),
        ("Cause", cause),
        ("Agent", agent),
        ("Model", spent.usage.model),
        ("Attempt", tried.number),
        ("Seconds", f"{tried.seconds:.1f}"),
        *_spent_pairs(spent),
        *_context_pairs(record, context),
    ]
    said = _wrap_text(f"What attempt {tried.number} had written when it failed: {format_reason(tried)}")
    return render_message(f"Unfinished: {item.title}", [_END.sub(" ", said), details], pairs)


def _context_pairs(record: Record, context: tuple[ContextFile, ...]) -> Iterator[tuple[str, object]]:
    """Yields the trailers for what an agent has read. A long list of outputs that its group shares is one digest."""
    outputs = context.earlier if isinstance(context, Manifest) and record.format > 1 else NO_OUTPUTS
    is_long = len(outputs.files) > LISTED
    files = context.own if is_long and isinstance(context, Manifest) else context
    yield from (("Context", f"{quote_for_message(file.path)}@{file.blob}") for file in files)
    if is_long:
        yield "Context-Outputs", f"{len(outputs.files)} {outputs.digest}"


def _spent_pairs(spent: Spent) -> list[tuple[str, object]]:
    """Returns the trailers for the usage of all attempts, including failed ones. Unknown values have no trailer."""
    cost = spent.usage.cost
    return [
        ("Tokens", spent.usage.total_tokens or ""),
        ("Usage", _render_counts(spent.usage)),
        ("Cost", "" if cost is None else f"{cost:.6f}"),
        ("Cost-Unknown", "" if cost is None else spent.unknown or ""),
    ]


def _render_counts(usage: Usage) -> str:
    """Returns the counts of a usage, each as `name=number`; empty if the agent did not report any."""
    return " ".join(f"{name}={getattr(usage, name)}" for name in COUNTS) if usage.requests else ""


def render_merge_message(record: Record, group: BatchGroup, items: tuple[Outcome, ...]) -> str:
    """Returns the message of a merge of item branches."""
    listed = "\n".join(
        f"- {_item_name(outcome)}: {quote_for_message(outcome.item.output)}" for outcome in items
    )
    return render_message(
        f"gitbatch: merge {format_count(len(items), 'item')} of “{group.title}”",
        [listed],
        batch_pairs(record, group),
    )


def render_base_message(record: Record, group: BatchGroup, item: BatchItem | None) -> str:
    """Returns the message of a merge that an item starts from, because it waits for the items that are merged.

    `item`: None if several items of later groups may start from it.
    """
    said = (
        f"{item.name} starts from what it waits for."
        if item
        else "Items start from these before their group."
    )
    said += " This merge is on no branch of its own."
    return render_message(
        f"{_BASE}{item.name if item else group.title}", [_wrap_text(said)], batch_pairs(record, group)
    )


def is_base_message(message: str) -> bool:
    """Whether a message is that of a merge that an item starts from, not that of a merge on a branch."""
    return message.startswith(_BASE)


def render_checkpoint_message(
    record: Record,
    group: BatchGroup,
    outcomes: tuple[Outcome, ...],
    criteria: tuple[CriterionState, ...],
    notes: tuple[str, ...],
    gates: tuple[GateVerdict, ...] = (),
) -> str:
    """Returns the message of an orchestrator commit: items with summaries, gates, failures, cross-cutting criteria."""
    number, of = record.position_of(group), len(record.groups)
    done = sum(outcome.succeeded for outcome in outcomes)
    failures = [outcome for outcome in outcomes if not outcome.succeeded]
    listed = outcomes if len(outcomes) <= MOST_OUTCOMES else failures
    crossing = [c for c in criteria if c.cross_cutting]
    spent = sum((outcome.spent for outcome in outcomes), Spent())
    paragraphs = [
        "\n".join((*map(_render_row, listed), *map(_render_gate, gates))),
        describe_left_out(done) if len(listed) < len(outcomes) else "",
        _wrap_text(f"Together: {format_usage(spent)}.") if spent.usage != Usage() else "",
        "\n".join(map(_wrap_text, describe_missing(outcomes, quote_for_message))),
        *(_render_failure(outcome) for outcome in failures),
        "\n".join(
            f"Cross-cutting, named by no item: #{c.number} {_render_box(c)} {clean_text(c.text)}"
            for c in crossing
        ),
        "\n".join(f"Note: {note}" for note in notes),
    ]
    pairs = [
        *batch_pairs(record, group),
        ("Plan", record.plan_path),
        ("Checkpoint", f"{number}/{of}"),
        ("Revision", group.revision or ""),
        *(_spent_pairs(spent) if spent.usage != Usage() else ()),
        *(("Succeeded", outcome.item.output) for outcome in outcomes if outcome.succeeded),
        *(("Gate", f"{gate.name} {gate.state} {gate.tree}{_name_host(gate.host)}") for gate in gates),
        *(("Failed", render_failed(o.item.output, o.status, o.reason)) for o in failures),
    ]
    again = f", revision {group.revision}" if group.revision else ""
    subject = f"gitbatch: checkpoint {number}/{of}{again}: {group.title} ({done} of {len(outcomes)} done)"
    return render_message(subject, paragraphs, pairs)


def describe_missing(outcomes: tuple[Outcome, ...], quote: Callable[[str], str]) -> tuple[str, ...]:
    """Returns a line for each input that items were to read and did not get, with their names; paths are quoted."""
    wanted: dict[str, list[str]] = {}
    for outcome in outcomes:
        for missing in outcome.missing:
            wanted.setdefault(missing.describe(quote), []).append(outcome.item.name)
    return tuple(f"{list_names(tuple(names))}: {text}" for text, names in wanted.items())


def describe_left_out(succeeded: int) -> str:
    """Returns what stands for the items that succeeded, where they are too many to list."""
    return f"{format_count(succeeded, 'item')} succeeded; the commit of each describes it."


def batch_pairs(record: Record, group: BatchGroup) -> list[tuple[str, object]]:
    """Returns the trailers that every commit of a batch has."""
    return [
        ("Format", record.format or ""),
        ("Batch", record.batch),
        ("Group", f"{group.number} {clean_text(group.title)}"),
    ]


def _render_row(outcome: Outcome) -> str:
    said = outcome.reply.summary if outcome.reply and outcome.succeeded else outcome.reason
    head = f"{outcome.status:<10} {_item_name(outcome)}"
    path = quote_for_message(outcome.item.output)
    where = f" → {path}" if outcome.item.output != outcome.item.name else ""
    flags = (
        f" [{', '.join(FLAG_DESCRIPTIONS[flag] for flag in outcome.reply.flags)}]"
        if outcome.reply and outcome.reply.flags
        else ""
    )
    lines = [
        _wrap_text(said, _WIDTH - 11),
        *(_wrap_text(line, _WIDTH - 11) for line in format_effort(outcome)),
    ]
    return "\n".join([f"{head}{where}{flags}", *(textwrap.indent(line, " " * 11) for line in lines if line)])


def _render_check(check: CheckResult) -> str:
    return f"{check.name} {check.verdict} ({check.seconds:.1f}){_name_host(check.host)}"


def _name_host(host: str) -> str:
    return f" at {host}" if host else ""


def _render_gate(gate: GateVerdict) -> str:
    head = f"{'gate':<10} {gate.name}: {describe_state(gate.state)}{format_gate_effort(gate)}"
    return "\n".join(
        (head, *textwrap.wrap(gate.note, _WIDTH, initial_indent=" " * 11, subsequent_indent=" " * 11))
    )


def _item_name(outcome: Outcome) -> str:
    """Returns the id of an item, else its path as quoted in messages."""
    is_path = outcome.item.name == outcome.item.output
    return quote_for_message(outcome.item.output) if is_path else outcome.item.name


def _render_failure(outcome: Outcome) -> str:
    """Returns the details of a failure (rule E3); empty if there are none beyond its reason."""
    strays = ("left in its worktree: " + ", ".join(outcome.strays),) if outcome.strays else ()
    lines = (*outcome.details, *strays)
    if not lines:
        return ""
    judges = {Cause.GATE: "the gate's", Cause.CHECK_FAILED: "its checks'"}
    whose = judges.get(outcome.cause, "its own") if outcome.cause else "its own"
    return f"{_item_name(outcome)} {outcome.status}, in {whose} words:\n" + "\n".join(
        f"    {line}" for line in lines
    )


def _render_box(criterion: CriterionState) -> str:
    return "[x]" if criterion.done else "[ ]"


def _wrap_text(text: str, width: int = _WIDTH) -> str:
    return textwrap.fill(text, width, break_long_words=False, break_on_hyphens=False)


def render_message(subject: str, paragraphs: list[str], pairs: list[tuple[str, object]]) -> str:
    """Returns a message: its subject, its paragraphs that are not empty, its trailers."""
    body = "\n\n".join([*map(neutralise_forge_commands, filter(None, paragraphs)), render_trailers(pairs)])
    return f"{neutralise_forge_commands(clean_text(subject, 100))}\n\n{body}\n"
