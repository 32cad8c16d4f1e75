"""A checkpoint for a review: the outcomes, the failures with their reasons, the Definition of Done."""

from gitbatch.agents.protocol import FLAG_DESCRIPTIONS
from gitbatch.batch.history.messages import format_effort, format_usage
from gitbatch.batch.model import Checkpoint, CriterionState, ItemStatus, Outcome
from gitbatch.limits.usage import Spent, Usage
from gitbatch.text import format_count
from gitbatch.view.block import Block, Cell, Part, TextTable, make_line

STYLES = {
    ItemStatus.SUCCEEDED: "green",
    ItemStatus.FAILED: "red",
    ItemStatus.CONFLICTED: "magenta",
    ItemStatus.REFUSED: "bold red",
    ItemStatus.BLOCKED: "yellow",
    ItemStatus.CANCELLED: "yellow",
}


def render_checkpoint(checkpoint: Checkpoint) -> Block:
    """Returns the whole checkpoint."""
    done = len(checkpoint.outcomes) - len(checkpoint.failures)
    title = make_line(
        (f"checkpoint {checkpoint.number}/{checkpoint.of}", "bold"),
        f"  {checkpoint.group.title}: {done} of {len(checkpoint.outcomes)} done  ",
        (checkpoint.commit[:10], "cyan"),
    )
    spent = sum((outcome.spent for outcome in checkpoint.outcomes), Spent())
    kept = (f"kept: your own version of {path} in the checkout" for path in checkpoint.kept)
    return (
        title,
        TextTable(tuple(_outcome_row(outcome) for outcome in checkpoint.outcomes)),
        *(part for outcome in checkpoint.failures if outcome.details for part in _detail_lines(outcome)),
        *((make_line((f"  {format_usage(spent)}", "dim")),) if spent.usage != Usage() else ()),
        *render_criteria(checkpoint.criteria),
        *(make_line((f"note: {note}", "yellow")) for note in (*checkpoint.notes, *kept)),
    )


def _outcome_row(outcome: Outcome) -> tuple[Cell, ...]:
    text = _outcome_text(outcome) + tuple((f"\n{missing}", "yellow") for missing in outcome.missing)
    text += tuple((f"\n{work}", "dim") for work in format_effort(outcome))
    return ((outcome.status, STYLES[outcome.status]),), (outcome.item.name,), text


def _outcome_text(outcome: Outcome) -> Cell:
    if not outcome.succeeded:
        return (outcome.reason,)
    parts: list[Part] = [outcome.reply.summary if outcome.reply else ""]
    parts += [
        (f" [{FLAG_DESCRIPTIONS[flag]}]", "yellow") for flag in (outcome.reply.flags if outcome.reply else ())
    ]
    if outcome.strays:
        parts.append((f" [discarded: {', '.join(outcome.strays)}]", "yellow"))
    return tuple(parts)


def _detail_lines(outcome: Outcome) -> Block:
    said = make_line(("\n".join(outcome.details), "dim"), indent=4)
    return make_line(f"{outcome.item.name} said:", indent=2), said


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
