"""`gitbatch batches`: lists all batches of the repository."""

from gitbatch.batch.history.batches import summarize_batch
from gitbatch.cli.batch_reading import list_batches, read_runner, runs_batch
from gitbatch.cli.common import HERE, Directory, Json, open_repository_of, print_output
from gitbatch.cli.pager import read_git_variables, show_in_pager
from gitbatch.view.batches import render_batches
from gitbatch.view.outputs.batches import BatchesOutput


def batches(json: Json = False, directory: Directory = HERE) -> None:
    """List all batches of the repository that git knows, with their results and costs. Changes nothing."""
    variables = read_git_variables()
    with open_repository_of(directory, read_only=True) as repo:
        known, holder = list_batches(repo), read_runner(repo)
        running = next((batch.id for batch in known if runs_batch(holder, batch)), None)
        listed = tuple(summarize_batch(repo, batch) for batch in known)
    if json:
        print_output(BatchesOutput(listed, running))
        return
    show_in_pager(variables, render_batches(listed, running))
