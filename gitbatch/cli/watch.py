"""`gitbatch watch`: shows the batch that runs, in another terminal than its own."""

import time
from typing import Annotated

import typer

from gitbatch.batch.events import EndEvent, Event
from gitbatch.batch.history.logged_events import find_last_end, follow_events
from gitbatch.batch.history.record import Batch, all_batches
from gitbatch.cli.batch_reading import list_runners, name_folder, read_runner, runs_batch, select_current
from gitbatch.cli.common import HERE, Directory, Json, open_repository_of, print_output
from gitbatch.cli.verbosity import show_note
from gitbatch.cli.views import EventView, Progress, ProgressKind, make_view
from gitbatch.errors import ErrorKind, ExitCode, GitbatchError
from gitbatch.repo.holder import Holder
from gitbatch.repo.refs.names import end_ref
from gitbatch.repo.repository import Repository
from gitbatch.view.envelope import make_report
from gitbatch.view.outputs.watch import WatchOutput
from gitbatch.view.run_end import EndReport
from gitbatch.view.watched import describe_watched

_PAUSE = 0.2
"""Seconds between two readings of the log."""


def watch(
    exit_status: Annotated[
        bool, typer.Option("--exit-status", help="Exit with the code of the run, and not with 0.")
    ] = False,
    progress: Progress = ProgressKind.AUTO,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Show the run that works here, as its own terminal does, until it ends. Changes nothing."""
    view = make_view(json=json, progress=progress)
    with open_repository_of(directory, read_only=True) as repo:
        try:
            batch, event = _watch_run(repo, view)
        finally:
            view.close()
        has_ended = repo.refs.read(end_ref(batch.id)) is not None
    end = describe_watched(event, has_ended=has_ended, folder_option=name_folder(directory))
    if event is None:
        show_note(f"gitbatch: {end.message}\n  {end.advice}")
    code = end.code if exit_status else ExitCode.DONE
    if json:
        print_output(_make_output(batch, end, code))
    raise typer.Exit(code)


def _watch_run(repo: Repository, view: EventView) -> tuple[Batch, EndEvent | None]:
    """Shows the events of the run; returns its batch and its last event.

    Raises:
        GitbatchError: nothing runs, and the last run has left no result.
    """
    batch, holder = _find_run(repo)
    if holder is None:
        ended = find_last_end(repo.own_dir, batch.id)
        if ended is None:
            raise _nothing_runs()
        view(ended)
        return batch, ended

    def is_running() -> bool:
        running = ((found.process, found.since) for found in list_runners(repo))
        return (holder.process, holder.since) in running

    last: Event | None = None
    for event in follow_events(repo.own_dir, batch.id, holder.since, is_running, _wait):
        view(event)
        last = event
    return batch, last if isinstance(last, EndEvent) else None


def _find_run(repo: Repository) -> tuple[Batch, Holder | None]:
    """Returns the batch that runs, and its process; without one, the batch that ran last, and None.

    Raises:
        GitbatchError: no batch has run.
    """
    while True:
        holder, batches = read_runner(repo), all_batches(repo)
        running = next((batch for batch in batches if runs_batch(holder, batch)), None)
        if running:
            return running, holder
        last = select_current(batches)
        if holder is None and last:
            return last, None
        if holder is None:
            raise _nothing_runs()
        _wait()  # it starts, or asks which items to run


def _nothing_runs() -> GitbatchError:
    return GitbatchError("no run works here", "start or resume one: gitbatch run")


def _wait() -> None:
    time.sleep(_PAUSE)


def _make_output(batch: Batch, end: EndReport, code: ExitCode) -> WatchOutput:
    kind = end.kind or ErrorKind.FAILED
    error = make_report(kind, end.message, end.advice) if code else None
    return WatchOutput(batch=batch.id, code=end.code, ok=not code, error=error)
