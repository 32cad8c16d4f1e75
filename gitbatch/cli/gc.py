"""`gitbatch gc`: removes what finished batches have left."""

from contextlib import nullcontext
from typing import Annotated

import typer
from msgspec.structs import replace

from gitbatch.batch.by_hand.trees import CHECK_FOLDERS
from gitbatch.batch.history.gc import Garbage, LeftoverKind, Removal, find_garbage, remove_garbage
from gitbatch.batch.planning.cache_limits import find_abandoned_folders, find_expired_layers
from gitbatch.batch.trial.repository import TRIAL_FOLDERS
from gitbatch.cli.common import (
    HERE,
    Directory,
    Json,
    cache_dir,
    chosen_worktrees,
    open_repository_of,
    print_output,
    tell_waiting,
)
from gitbatch.cli.verbosity import show_text
from gitbatch.repo.lock import repository_lock
from gitbatch.repo.refs.names import short
from gitbatch.repo.templates.expiry import find_layer, remove_layers
from gitbatch.text import clean_text
from gitbatch.view.outputs.gc import GcOutput


def gc(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Only show what would be removed.")
    ] = False,
    keep: Annotated[
        int, typer.Option(min=0, help="The number of finished batches that gitbatch status still knows.")
    ] = 1,
    json: Json = False,
    directory: Directory = HERE,
) -> None:
    """Remove what finished batches have left: worktrees, branches, refs, logs. What is unmerged is kept."""
    with (
        open_repository_of(directory) as found,
        nullcontext(found) if dry_run else repository_lock(found, tell_waiting, "gc") as repo,
    ):
        garbage, cache = find_garbage(repo, keep), cache_dir()
        layers = find_expired_layers(repo, cache)
        abandoned = find_abandoned_folders(repo, chosen_worktrees(), cache, (CHECK_FOLDERS, TRIAL_FOLDERS))
        folders = tuple(Removal(LeftoverKind.FOLDER, str(path)) for path in abandoned)
        garbage = replace(garbage, removed=(*garbage.removed, *folders))
        if not dry_run:
            remove_garbage(repo, garbage)
            layers = remove_layers(cache, layers)
    removed = tuple(Removal(LeftoverKind.LAYER, str(find_layer(cache, layer))) for layer in layers)
    garbage = replace(garbage, removed=(*garbage.removed, *removed))
    if json:
        print_output(GcOutput(dry_run, garbage.removed, garbage.rescued, garbage.kept))
    else:
        _tell_person(garbage, dry_run=dry_run)


def _tell_person(garbage: Garbage, *, dry_run: bool) -> None:
    would = "would be " * dry_run
    for rescue in garbage.rescued:
        show_text(f"{would}kept: {rescue.name} is not merged; now {rescue.ref}   (git show {rescue.ref})")
    for removal in garbage.removed:
        show_text(f"{would}removed: {removal.kind} {clean_text(short(removal.name), 2000)}")
    for kept in garbage.kept:
        show_text(f"kept: {short(kept.name)}: {clean_text(kept.reason, 2000)}")
    if not garbage.removed:
        show_text("nothing to remove")
