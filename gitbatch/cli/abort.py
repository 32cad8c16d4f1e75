"""`gitbatch abort`: ends an unfinished batch. Finished items that were not merged are kept."""

import typer

from gitbatch.batch.history.abort import abort_batch
from gitbatch.batch.history.record import find_unfinished_refs
from gitbatch.cli.common import HERE, Directory, open_repository_of, tell_waiting
from gitbatch.errors import GitbatchError
from gitbatch.repo.lock import repository_lock


def abort(directory: Directory = HERE) -> None:
    """End the unfinished batch; finished items that were not merged are kept under refs/gitbatch/."""
    with open_repository_of(directory) as unlocked, repository_lock(unlocked, tell_waiting, "abort") as repo:
        found = find_unfinished_refs(repo)
        if found is None:
            raise GitbatchError("no batch is unfinished", "see the last one: gitbatch status")
        rescued = abort_batch(repo, *found)
        typer.echo(f"batch {found[0]} has ended")
        for ref in rescued:
            typer.echo(f"  kept: {ref}   (git show {ref})")
