"""A checkpoint as a person reviews it: what was done, what failed and why, where the Definition of Done is."""

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gitbatch.agents.protocol import Usage
from gitbatch.agents.spent import Spent
from gitbatch.batch.messages import told_spent, told_work
from gitbatch.batch.model import Checkpoint, CriterionState, ItemStatus, Outcome

STYLES = {
    ItemStatus.SUCCEEDED: "green",
    ItemStatus.FAILED: "red",
    ItemStatus.CONFLICTED: "magenta",
    ItemStatus.REFUSED: "bold red",
    ItemStatus.BLOCKED: "yellow",
    ItemStatus.CANCELLED: "yellow",
}


def render_checkpoint(checkpoint: Checkpoint) -> RenderableType:
    """The whole checkpoint. Texts of agents are shown as text, never as markup."""
    done = len(checkpoint.outcomes) - len(checkpoint.failures)
    title = Text.assemble(
        (f"checkpoint {checkpoint.number}/{checkpoint.of}", "bold"),
        f"  {checkpoint.group.title}: {done} of {len(checkpoint.outcomes)} done  ",
        (checkpoint.commit[:10], "cyan"),
    )
    parts: list[RenderableType] = [title, _outcomes(checkpoint)]
    parts += [_details(outcome) for outcome in checkpoint.failures if outcome.details]
    spent = sum((outcome.spent for outcome in checkpoint.outcomes), Spent())
    if spent.usage != Usage():
        parts.append(Text(f"  {told_spent(spent)}", "dim"))
    if checkpoint.criteria:
        parts.append(render_criteria(checkpoint.criteria))
    parts += [Text(f"note: {note}", "yellow") for note in checkpoint.notes]
    parts += [
        Text(f"note: your own version of {path} stays in the checkout", "yellow") for path in checkpoint.kept
    ]
    return Group(*parts)


def _outcomes(checkpoint: Checkpoint) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for outcome in checkpoint.outcomes:
        table.add_row(Text(outcome.status, STYLES[outcome.status]), Text(outcome.item.name), _said(outcome))
    return Padding(table, (0, 0, 0, 2), expand=False)


def _said(outcome: Outcome) -> Text:
    text = _told(outcome)
    for line in told_work(outcome):
        text.append(f"\n{line}", "dim")
    return text


def _told(outcome: Outcome) -> Text:
    if not outcome.succeeded:
        return Text(outcome.reason)
    text = Text(outcome.reply.summary if outcome.reply else "")
    for flag in outcome.reply.flags if outcome.reply else ():
        text.append(f" [{flag}]", "yellow")
    if outcome.strays:
        text.append(f" [discarded: {', '.join(outcome.strays)}]", "yellow")
    return text


def _details(outcome: Outcome) -> RenderableType:
    lines = Text("\n".join(outcome.details), "dim")
    return Padding(
        Group(Text(f"{outcome.item.name} said:"), Padding(lines, (0, 0, 0, 2), expand=False)),
        (0, 0, 0, 2),
        expand=False,
    )


def render_criteria(criteria: tuple[CriterionState, ...]) -> RenderableType:
    """The Definition of Done as a small table; what no item names is cross-cutting (rule T2)."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    for criterion in criteria:
        state = "[x]" if criterion.done else "[ ]"
        table.add_row(
            Text(f"DoD #{criterion.number}"),
            Text(state, "green" if criterion.done else ""),
            _coverage(criterion),
            Text(criterion.text),
        )
    return Padding(table, (0, 0, 0, 2), expand=False)


def _coverage(criterion: CriterionState) -> Text:
    if criterion.cross_cutting:
        return Text("cross-cutting", "yellow")
    if criterion.ready:
        return Text("ready: tick it", "green")
    return Text(f"{len(criterion.items) - criterion.open_items}/{len(criterion.items)} items")
