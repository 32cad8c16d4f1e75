"""`gitbatch abort`: ends an unfinished batch. Finished items that were not merged are kept."""

from collections.abc import Callable
from typing import Annotated

import typer

from gitbatch.batch.history.abort import AbortPreview, abort_batch, preview_abort
from gitbatch.batch.history.record import find_unfinished_refs
from gitbatch.cli.common import HERE, Directory, Json, open_repository_of, print_output, tell_waiting
from gitbatch.cli.terminal import can_prompt
from gitbatch.cli.verbosity import show_prose, show_text
from gitbatch.errors import DeclinedError, GitbatchError
from gitbatch.repo.lock import repository_lock
from gitbatch.text import format_count, list_names
from gitbatch.view.outputs.abort import AbortOutput


def abort(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, also in a terminal.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Only show what would be kept and lost.")
    ] = False,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """End the unfinished batch; finished items that were not merged are kept under refs/gitbatch/."""
    with (
        open_repository_of(directory) as unlocked,
        repository_lock(unlocked, tell_waiting, "abort") as repo,
    ):
        found = find_unfinished_refs(repo)
        if found is None:
            raise GitbatchError("no batch is unfinished", "see the last one: gitbatch status")
        preview = preview_abort(repo, found[0])
        asks = not (yes or json or dry_run) and can_prompt()
        if not json:
            _show_preview(found[0], preview, show_prose if asks or dry_run else show_text)
        if asks:
            _require_consent()
        rescued = () if dry_run else abort_batch(repo, *found)
        if json:
            output = AbortOutput(
                found[0],
                preview.merged,
                preview.kept,
                preview.lost,
                rescued,
                preview.unchecked,
                dry_run=dry_run,
            )
            print_output(output)
        if json or dry_run:
            return
        show_text(f"batch {found[0]} has ended")
        for ref in rescued:
            show_text(f"  kept: {ref}   (git show {ref})")
        if rescued:
            show_text("write one to your checkout: gitbatch rescue take ITEM")


def _show_preview(batch: str, preview: AbortPreview, show: Callable[[str], None]) -> None:
    if preview.merged is not None:
        show(f"batch {batch}: {format_count(preview.merged, 'item')} merged, which stay")
    if preview.kept:
        show(f"  keeps: {list_names(preview.kept)}: finished and not merged")
    if preview.unchecked:
        show(f"  keeps: {list_names(preview.unchecked)}: written and not checked")
    if preview.lost:
        show(f"  loses: {list_names(preview.lost)}: not finished; what their worktrees have is removed")


def _require_consent() -> None:
    from gitbatch.cli.questions import ask_to_abort

    if not ask_to_abort():
        raise DeclinedError("the batch was not ended", "resume: gitbatch run")
