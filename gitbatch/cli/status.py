"""`gitbatch status`: shows the progress of the unfinished batch, or of the last one."""

import msgspec
import typer

from gitbatch.batch.group.shared_files import criteria_at
from gitbatch.batch.history.ledger import read_ledger
from gitbatch.batch.history.progress import read_ended_progress, read_progress
from gitbatch.batch.history.record import all_batches
from gitbatch.batch.history.spending import read_spending
from gitbatch.cli.common import HERE, Directory, Json, make_page, open_repository_of
from gitbatch.view.overview import batch_state, render_batch


def status(json: Json = False, directory: Directory = HERE) -> None:
    """Show the unfinished batch, or the last one. Changes nothing."""
    with open_repository_of(directory, read_only=True) as repo:
        batches = all_batches(repo)
        if not batches:
            typer.echo("{}" if json else "no batch has run here yet; start one: gitbatch run")
            return
        batch = next((batch for batch in batches if not batch.ended), batches[-1])
        state = (read_ended_progress if batch.ended else read_progress)(repo, batch)
        spending = read_spending(repo, batch, state, read_ledger(repo, batch.id))
        shown = batch_state(batch, state, criteria_at(repo, batch.record.target), spending)
        if json:
            typer.echo(msgspec.json.encode(shown).decode())
            return
        make_page().show_block(render_batch(shown))
        if not batch.ended:
            typer.echo("resume: gitbatch run   (or end it: gitbatch abort)")
