"""All batches, for people."""

import time

from gitbatch.batch.history.batches import BatchSummary
from gitbatch.batch.history.effort import format_cost
from gitbatch.limits.usage import Usage
from gitbatch.repo.refs.names import short
from gitbatch.text import clean_text, format_count
from gitbatch.view.block import Block, Cell, TextTable, make_line

_STYLES = {"running": "cyan", "unfinished": "yellow", "ended": "dim"}


def render_batches(batches: tuple[BatchSummary, ...], running: str | None) -> Block:
    """Returns a row for each batch, the last one first. `running`: the id of the one that a process runs."""
    if not batches:
        return (make_line("no batch is known here; start one: gitbatch run"),)
    last = batches[-1].batch
    rows = tuple(_batch_row(batch, is_running=batch.batch == running) for batch in reversed(batches))
    return (TextTable(rows, indent=0), make_line((f"look:  gitbatch status {last}", "dim")))


def _batch_row(batch: BatchSummary, *, is_running: bool) -> tuple[Cell, ...]:
    state = "running" if is_running else "ended" if batch.ended else "unfinished"
    began = time.strftime("%Y-%m-%d %H:%M", time.localtime(batch.started))
    groups = f"{batch.groups_done} of {format_count(batch.groups, 'group')}"
    items = f"{batch.succeeded} of {format_count(batch.items, 'item')}"
    failed = f", {batch.failed} not done" if batch.failed else ""
    rebuilt = ", known by its commits alone" if batch.rebuilt else ""
    cost = f", {format_cost(batch.spent)}" if batch.spent.usage != Usage() else ""
    return (
        ((batch.batch, "bold"),),
        ((state, _STYLES[state]),),
        (began,),
        (f"{clean_text(batch.plan)} on {clean_text(short(batch.target))}",),
        (f"{groups}, {items}", (failed, "red"), (f"{cost}{rebuilt}", "dim")),
    )
