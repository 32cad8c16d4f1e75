"""`gitbatch abort`: ends an unfinished batch. Finished items that were not merged are kept."""

from typing import Annotated

import typer

from gitbatch.batch.history.abort import AbortPreview, abort_batch, preview_abort
from gitbatch.batch.history.record import find_unfinished_refs
from gitbatch.cli.common import HERE, Directory, Json, open_repository_of, print_output, tell_waiting
from gitbatch.cli.terminal import can_prompt
from gitbatch.cli.verbosity import show_text
from gitbatch.errors import DeclinedError, GitbatchError
from gitbatch.repo.lock import repository_lock
from gitbatch.text import format_count, list_names
from gitbatch.view.outputs.abort import AbortOutput


def abort(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask, also in a terminal.")] = False,
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
        if not json:
            _show_preview(found[0], preview)
        if not (yes or json) and can_prompt():
            _require_consent()
        rescued = abort_batch(repo, *found)
        if json:
            print_output(AbortOutput(found[0], preview.merged, preview.kept, preview.lost, rescued))
            return
        show_text(f"batch {found[0]} has ended")
        for ref in rescued:
            show_text(f"  kept: {ref}   (git show {ref})")
        if rescued:
            show_text("write one to your checkout: gitbatch rescue take ITEM")


def _show_preview(batch: str, preview: AbortPreview) -> None:
    show_text(f"batch {batch}: {format_count(preview.merged, 'item')} merged, which stay")
    if preview.kept:
        show_text(f"  keeps: {list_names(preview.kept)}: finished and not merged")
    if preview.lost:
        show_text(f"  loses: {list_names(preview.lost)}: not finished; what their worktrees have is removed")


def _require_consent() -> None:
    from gitbatch.cli.questions import ask_to_abort

    if not ask_to_abort():
        raise DeclinedError("the batch was not ended", "resume: gitbatch run")
