"""`gitbatch status`: shows the progress of the unfinished batch, or of the last one."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from gitbatch.batch.history.batches import read_any_progress
from gitbatch.batch.history.record import Batch, all_batches
from gitbatch.cli.batch_reading import (
    find_any_batch,
    names_batch,
    read_batch_state,
    read_runner,
    select_current,
)
from gitbatch.cli.common import (
    HERE,
    Directory,
    Json,
    choose_plan,
    make_page,
    open_repository_of,
    print_output,
)
from gitbatch.cli.pager import read_git_variables, show_in_pager
from gitbatch.cli.unused_changes import tell_unused_changes
from gitbatch.cli.verbosity import show_prose
from gitbatch.errors import UsageError
from gitbatch.repo.holder import Holder
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text
from gitbatch.view.batch_state import BatchState, NoBatch, find_next_step, render_batch
from gitbatch.view.block import make_line


def status(
    wanted: Annotated[
        str | None,
        typer.Argument(
            metavar="[TASK_MD|BATCH]", help="Show the last batch of this plan, or the batch with this id."
        ),
    ] = None,
    stale: Annotated[
        bool,
        typer.Option(
            "--stale", help="Show the items that were written from other versions than the branch has by now."
        ),
    ] = False,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Show the unfinished batch, or the last one, or any other. Changes nothing."""
    variables = read_git_variables()
    with open_repository_of(directory, read_only=True) as repo:
        named = wanted if names_batch(wanted) else None
        plan = choose_plan(repo, directory, Path(wanted) if wanted and not named else None)
        batches = all_batches(repo)
        batches = (find_any_batch(repo, batches, named),) if named else _select_batches(batches, plan.path)
        chosen = select_current(batches)
        tell_unused_changes(repo, chosen.record.plan if chosen else plan)
        holder = read_runner(repo)  # before the state: what it has done since is seen
        if chosen is None:
            _require_plan(repo, plan.path, wanted)
            _show_none(plan.path, holder, json=json)
            return
        if stale:
            _show_stale(repo, chosen, json=json)
            return
        shown = read_batch_state(repo, chosen, holder)
        if json:
            print_output(shown)
            return
        lines = map(make_line, _advise(shown, holder))
        show_in_pager(variables, (*render_batch(shown, time.time()), *lines))


def _select_batches(batches: tuple[Batch, ...], plan: str | None) -> tuple[Batch, ...]:
    return tuple(batch for batch in batches if plan in {None, batch.record.plan_path})


def _require_plan(repo: Repository, path: str | None, wanted: str | None) -> None:
    """Refuses a word that is neither the id of a batch nor a plan.

    Raises:
        UsageError: no file is there.
    """
    if wanted and path and not (repo.root / path).exists():
        raise UsageError(
            f"{clean_text(wanted)} names neither a batch nor a plan", "list the batches: gitbatch batches"
        )


def _show_none(plan: str | None, holder: Holder | None, *, json: bool) -> None:
    """Shows that no batch has run, of one plan if that is named."""
    if json:
        print_output(NoBatch())
        return
    what = f"of {plan} has run" if plan else "has run here"
    advice = _describe_other(holder) if holder else "start one: gitbatch run"
    show_prose(f"no batch {what} yet; {advice}")


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


def _show_stale(repo: Repository, batch: Batch, *, json: bool) -> None:
    from gitbatch.batch.planning.stale import find_stale_items
    from gitbatch.view.outputs.stale import StaleOutput
    from gitbatch.view.stale import render_stale

    found = find_stale_items(repo, batch, read_any_progress(repo, batch))
    if json:
        print_output(StaleOutput(batch=batch.id, stale=found))
    else:
        make_page().show_block(render_stale(found))


def _describe_other(holder: Holder) -> str:
    """Returns what a process does that runs none of the batches that are shown."""
    work = f"runs {holder.plan}" if holder.plan else "is starting a run"
    return f"process {holder.process} of {holder.user} on {holder.host} {clean_text(work)}"
