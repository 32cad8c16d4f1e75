"""`gitbatch status`: shows the progress of the unfinished batch, or of the last one."""

import time

import typer

from gitbatch.batch.group.shared_files import read_criteria
from gitbatch.batch.history.activity import read_activity
from gitbatch.batch.history.ledger import read_ledger
from gitbatch.batch.history.progress import read_ended_progress, read_progress
from gitbatch.batch.history.record import Batch, all_batches
from gitbatch.batch.history.spending import read_spending
from gitbatch.cli.common import (
    HERE,
    Directory,
    Json,
    choose_plan,
    make_page,
    open_repository_of,
    print_output,
)
from gitbatch.cli.unused_changes import tell_unused_changes
from gitbatch.repo.holder import read_holder
from gitbatch.repo.repository import Repository
from gitbatch.view.batch_state import BatchState, NoBatch, add_activity, batch_state, render_batch


def status(json: Json = False, directory: Directory = HERE) -> None:
    """Show the unfinished batch, or the last one. Changes nothing."""
    with open_repository_of(directory, read_only=True) as repo:
        batches = all_batches(repo)
        tell_unused_changes(repo, batches[-1].record.plan if batches else choose_plan(repo, directory, None))
        if not batches:
            if json:
                print_output(NoBatch())
            else:
                typer.echo("no batch has run here yet; start one: gitbatch run")
            return
        shown = _read_state(repo, next((batch for batch in batches if not batch.ended), batches[-1]))
        if json:
            print_output(shown)
            return
        make_page().show_block(render_batch(shown, time.time()))
        if advice := _advise(shown):
            typer.echo(advice)


def _advise(shown: BatchState) -> str:
    if shown.process:
        return f"to end it in good order: kill -INT {shown.process.process}   (every finished item is in git)"
    return "" if shown.state == "ended" else "resume: gitbatch run   (or end it: gitbatch abort)"


def _read_state(repo: Repository, batch: Batch) -> BatchState:
    holder = (
        None if batch.ended else read_holder(repo.own_dir)
    )  # before the state: what it has done since is seen
    state = (read_ended_progress if batch.ended else read_progress)(repo, batch)
    spending = read_spending(repo, batch, state, read_ledger(repo, batch.id))
    shown = batch_state(batch, state, read_criteria(repo, batch.record), spending)
    if holder and holder.verb == "run":
        return add_activity(shown, holder, read_activity(repo.own_dir, batch.id, holder.since))
    return shown
