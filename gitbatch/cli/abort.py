"""`gitbatch abort`: end an unfinished batch. What was done and not merged is kept."""

import typer

from gitbatch.batch.history.abort import abort_batch
from gitbatch.batch.history.record import find_unfinished_refs
from gitbatch.cli.common import HERE, Directory, opened, tell_waiting
from gitbatch.errors import GitbatchError
from gitbatch.repo.lock import repository_lock


def abort(directory: Directory = HERE) -> None:
    """End the unfinished batch; finished items that were not merged are kept under refs/gitbatch/."""
    with opened(directory) as unlocked, repository_lock(unlocked, tell_waiting) as repo:
        found = find_unfinished_refs(repo)
        if found is None:
            raise GitbatchError("there is no unfinished batch", "gitbatch status shows the last one")
        rescued = abort_batch(repo, *found)
        typer.echo(f"batch {found[0]} has ended")
        for ref in rescued:
            typer.echo(f"  kept: {ref}   (git show {ref})")
