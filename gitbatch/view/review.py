"""A checkpoint for a review: the outcomes, the failures with their reasons, the Definition of Done."""

from msgspec.structs import replace

from gitbatch.agents.protocol import FLAG_DESCRIPTIONS
from gitbatch.batch.history.effort import format_effort, format_gate_effort, format_usage
from gitbatch.batch.history.messages import describe_missing
from gitbatch.batch.line_count import LineCount
from gitbatch.batch.model import Checkpoint, CriterionState, ItemStatus, Outcome
from gitbatch.batch.verdicts import GateState, GateVerdict, describe_state
from gitbatch.checks.verdict import VERDICT_WORDS, CheckVerdict
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Spent, Usage
from gitbatch.paths import quote_path
from gitbatch.text import format_count
from gitbatch.view.block import Block, Cell, Part, TextTable, make_line

STYLES = {
    ItemStatus.SUCCEEDED: "green",
    ItemStatus.FAILED: "red",
    ItemStatus.CONFLICTED: "magenta",
    ItemStatus.REFUSED: "bold red",
    ItemStatus.BLOCKED: "yellow",
    ItemStatus.REJECTED: "magenta",
    ItemStatus.CANCELLED: "yellow",
}

_MISSING_SHOWN = 5
"""The most lines about missing inputs that an item or a checkpoint shows, if there is more than one more."""


def render_checkpoint(checkpoint: Checkpoint) -> Block:
    """Returns the whole checkpoint: failures first, then a line for each item, sums, and the Definition of Done."""
    done = tuple(outcome for outcome in checkpoint.outcomes if outcome.succeeded)
    title = make_line(
        (f"checkpoint {checkpoint.number}/{checkpoint.of}", "bold"),
        f"  {checkpoint.group.title}: {checkpoint.succeeded} of {checkpoint.total} done  ",
        (checkpoint.commit[:10], "cyan"),
    )
    kept = (f"kept: your own version of {path} in the checkout" for path in checkpoint.kept)
    return (
        title,
        *_render_failures(checkpoint.failures),
        *((TextTable(tuple(map(_done_row, done)), is_cut=True),) if done else ()),
        *_render_missing(checkpoint.outcomes),
        *(line for gate in checkpoint.gates for line in _render_gate(gate)),
        make_line((_format_sums(checkpoint, done), "dim"), indent=2),
        *render_criteria(checkpoint.criteria),
        *(make_line((f"note: {note}", "yellow")) for note in (*checkpoint.notes, *kept)),
    )


def _render_failures(failures: tuple[Outcome, ...]) -> Block:
    if not failures:
        return ()
    rows = tuple((_status_cell(outcome), (outcome.item.name,), (outcome.reason,)) for outcome in failures)
    return (TextTable(rows), *(part for outcome in failures for part in _detail_lines(outcome)))


def _render_missing(outcomes: tuple[Outcome, ...]) -> Block:
    """Returns a line for each file that an item was to read and did not get."""
    lines = cut_missing(describe_missing(outcomes, quote_path))
    rows = tuple((((line, "yellow"),),) for line in lines)
    return (TextTable(rows, is_cut=True),) if rows else ()


def _render_gate(gate: GateVerdict) -> Block:
    style = "green" if gate.state is GateState.PASSED else "yellow"
    said = (describe_state(gate.state), style)
    head = make_line("gate ", (gate.name, "bold"), ": ", said, format_gate_effort(gate), indent=2)
    return (head, make_line((gate.note, "dim"), indent=4)) if gate.note else (head,)


def cut_missing(lines: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the first lines about missing inputs, and the number of the others; the commit of a checkpoint has all."""
    more = len(lines) - _MISSING_SHOWN
    return lines if more <= 1 else (*lines[:_MISSING_SHOWN], f"and {more:,} more missing inputs")


def _status_cell(outcome: Outcome) -> Cell:
    """Returns the status in the width of the longest, so that the two tables of a checkpoint align."""
    return ((f"{outcome.status:<{max(map(len, ItemStatus))}}", STYLES[outcome.status]),)


def _done_row(outcome: Outcome) -> tuple[Cell, ...]:
    parts: list[Part] = [
        (f"[{FLAG_DESCRIPTIONS[flag]}] ", "yellow") for flag in (outcome.reply.flags if outcome.reply else ())
    ]
    if outcome.strays:
        parts.append((f"[discarded: {', '.join(outcome.strays)}] ", "yellow"))
    if outcome.earlier:
        parts.append((f"[{format_count(outcome.attempts, 'attempt')}] ", "yellow"))
    if outcome.checks:
        is_skipped = any(check.verdict is CheckVerdict.SKIP for check in outcome.checks)
        words = ", ".join(f"{check.name} {VERDICT_WORDS[check.verdict]}" for check in outcome.checks)
        parts.append((f"[{words}] ", "yellow" if is_skipped else "green"))
    parts.append(outcome.reply.summary if outcome.reply else "")
    count = str(outcome.lines or "")
    return _status_cell(outcome), (outcome.item.name,), ((count, "cyan"),), tuple(parts)


def _format_sums(checkpoint: Checkpoint, done: tuple[Outcome, ...]) -> str:
    """Returns the sums of a group in one line, with the command that shows all of it."""
    spent = sum((outcome.spent for outcome in checkpoint.outcomes), Spent())
    lines = sum((outcome.lines for outcome in done if outcome.lines), LineCount(0, 0))
    sums = (
        f"{format_count(len(done), 'file')}, {lines}",
        format_usage(spent) if spent.usage != Usage() else "",
        f"in full: git show {checkpoint.commit[:10]}",
    )
    return "; ".join(filter(None, sums))


def _detail_lines(outcome: Outcome) -> Block:
    """Returns what an item's agent said last, and what its attempts took, as far as its reason does not say it."""
    is_known = len(outcome.details) == 1 and outcome.details[0] in outcome.reason
    details = () if is_known else outcome.details
    effort = tuple(make_line((line, "dim"), indent=4) for line in _effort_lines(outcome))
    if not details:
        return (make_line(f"{outcome.item.name}:", indent=2), *effort) if effort else ()
    said = make_line(("\n".join(details), "dim"), indent=4)
    judges = {Cause.GATE: "the gate", Cause.CHECK_FAILED: "the checks"}
    judge = judges.get(outcome.cause) if outcome.cause else None
    who = f"{judge} said of {outcome.item.name}" if judge else f"{outcome.item.name} said"
    return (make_line(f"{who}:", indent=2), said, *effort)


def _effort_lines(outcome: Outcome) -> tuple[str, ...]:
    """Returns the attempts, waits and usage of an item; attempts that failed for the same reason in one line."""
    if outcome.earlier and {tried.reason for tried in outcome.earlier} == {outcome.reason}:
        outcome = replace(outcome, earlier=())
        return (
            f"{outcome.attempts} attempts at {outcome.item.name} failed for this reason",
            *format_effort(outcome),
        )
    return format_effort(outcome)


def render_criteria(criteria: tuple[CriterionState, ...]) -> Block:
    """Returns the Definition of Done as a small table, if there is one; what no item names is cross-cutting (rule T2)."""
    rows = tuple(
        (
            (f"DoD #{criterion.number}",),
            (("[x]", "green") if criterion.done else "[ ]",),
            (_format_coverage(criterion),),
            (criterion.text,),
        )
        for criterion in criteria
    )
    return (TextTable(rows),) if rows else ()


def _format_coverage(criterion: CriterionState) -> Part:
    if criterion.cross_cutting:
        return ("cross-cutting", "yellow")
    if criterion.is_ready:
        return ("ready: tick it", "green")
    return f"{len(criterion.items) - criterion.open_items}/{format_count(len(criterion.items), 'item')}"
