"""`gitbatch status`: shows the progress of the unfinished batch, or of the last one."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from gitbatch.batch.group.shared_files import read_criteria
from gitbatch.batch.history.activity import read_activity
from gitbatch.batch.history.ledger import read_ledger
from gitbatch.batch.history.progress import read_ended_progress, read_progress
from gitbatch.batch.history.record import Batch, all_batches
from gitbatch.batch.history.rescued_files import map_rescued
from gitbatch.batch.history.spending import read_spending
from gitbatch.cli.common import HERE, Directory, Json, choose_plan, open_repository_of, print_output
from gitbatch.cli.pager import read_git_variables, show_in_pager
from gitbatch.cli.unused_changes import tell_unused_changes
from gitbatch.cli.verbosity import show_prose
from gitbatch.repo.holder import Holder, read_holder
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text
from gitbatch.view.batch_state import (
    BatchState,
    NoBatch,
    add_activity,
    batch_state,
    find_next_step,
    render_batch,
)
from gitbatch.view.block import make_line


def status(
    task_md: Annotated[
        Path | None, typer.Argument(metavar="[TASK_MD]", help="Show the last batch of this plan.")
    ] = None,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Show the unfinished batch, or the last one. Changes nothing."""
    variables = read_git_variables()
    with open_repository_of(directory, read_only=True) as repo:
        plan = choose_plan(repo, directory, task_md)
        batches = [each for each in all_batches(repo) if plan.path in {None, each.record.task}]
        tell_unused_changes(repo, batches[-1].record.plan if batches else plan)
        holder = _read_runner(repo)  # before the state: what it has done since is seen
        if not batches:
            if json:
                print_output(NoBatch())
            else:
                what = f"of {plan.path} has run" if plan.path else "has run here"
                advice = _describe_other(holder) if holder else "start one: gitbatch run"
                show_prose(f"no batch {what} yet; {advice}")
            return
        unfinished = next((batch for batch in batches if not batch.ended), batches[-1])
        shown = _read_state(repo, unfinished, holder)
        if json:
            print_output(shown)
            return
        lines = map(make_line, _advise(shown, holder))
        show_in_pager(variables, (*render_batch(shown, time.time()), *lines))


def _read_runner(repo: Repository) -> Holder | None:
    """Returns the process that runs a batch of the repository, or is about to start one; None if none does."""
    holder = read_holder(repo.own_dir)
    return holder if holder and holder.verb == "run" else None


def _advise(shown: BatchState, holder: Holder | None) -> Iterator[str]:
    """Yields what the user can do next; never to run what runs already."""
    if shown.process:
        yield f"to end it in good order: kill -INT {shown.process.process}   (every finished item is in git)"
    elif holder:
        yield _describe_other(holder)
    elif shown.state != "ended":
        yield "resume: gitbatch run   (or end it: gitbatch abort)"
    elif step := find_next_step(shown):
        yield step


def _describe_other(holder: Holder) -> str:
    """Returns what a process does that runs none of the batches that are shown."""
    work = f"runs {holder.plan}" if holder.plan else "is starting a run"
    return f"process {holder.process} of {holder.user} on {holder.host} {clean_text(work)}"


def _read_state(repo: Repository, batch: Batch, holder: Holder | None) -> BatchState:
    state = (read_ended_progress if batch.ended else read_progress)(repo, batch)
    spending = read_spending(repo, batch, state, read_ledger(repo, batch.id))
    shown = batch_state(
        batch, state, read_criteria(repo, batch.record), spending, map_rescued(repo, batch.id)
    )
    if holder and not batch.ended and holder.plan == batch.record.task:
        return add_activity(shown, holder, read_activity(repo.own_dir, batch.id, holder.since))
    return shown
