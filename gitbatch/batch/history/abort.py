"""Ending a batch before it is complete. Finished items that were not merged are kept under rescue refs.

It needs the refs of the batch, and of its record only the target: so it also ends a batch that another version of
gitbatch started.
"""

import time
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.history.messages import render_rescue_message
from gitbatch.batch.history.progress import read_progress
from gitbatch.batch.history.record import Batch, end_batch, read_target, unfinished_batch
from gitbatch.batch.history.rescue import rescue_branches
from gitbatch.batch.history.unchecked import Unchecked, drop_unchecked
from gitbatch.batch.history.worktree_folders import remove_leftovers
from gitbatch.batch.model import BatchGroup, ItemStatus
from gitbatch.errors import GitbatchError
from gitbatch.limits.causes import Cause
from gitbatch.repo.objects.codec import Ident
from gitbatch.repo.refs.names import item_branches, rescued_output_ref
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.branches import delete_branches
from gitbatch.text import clean_text

_UNCHECKED = clean_text("its checks had not answered when the batch was ended")


class AbortPreview(Struct, frozen=True):
    """What ending a batch keeps and what it loses. Items by name; by branch where the record is unreadable."""

    merged: int | None
    """Items that are in the target branch, and stay there; None: unknown, as the record is unreadable."""
    kept: tuple[str, ...]
    """Finished items that no checkpoint has merged: they are kept under rescue refs."""
    lost: tuple[str, ...]
    """Items that did not finish: their worktrees are removed, their boxes stay open."""
    unchecked: tuple[str, ...] = ()
    """Those of them whose output waits for its checks: it is kept as that of a failed attempt."""


def preview_abort(repo: Repository, batch: str) -> AbortPreview:
    """Returns what ending an unfinished batch keeps and loses. Changes nothing."""
    with suppress(GitbatchError):
        if found := unfinished_batch(repo):
            progress = read_progress(repo, found)
            failed = {
                outcome.item for outcome in progress.failed if outcome.status is not ItemStatus.CONFLICTED
            }
            conflicts = {outcome.item for outcome in progress.failed} - failed
            items = found.record.items
            kept = tuple(item.name for item in items if item.key in progress.ready or item in conflicts)
            lost = tuple(item.name for item in progress.find_open(items) if item not in failed)
            held = tuple(item.name for item in items if item.key in progress.unchecked)
            return AbortPreview(progress.succeeded, kept, lost, held)
    prefix = item_branches(batch)
    return AbortPreview(None, tuple(ref.removeprefix(prefix) for ref in repo.refs.below(prefix)), ())


def abort_batch(repo: Repository, batch: str, base: str) -> tuple[str, ...]:
    """Ends a batch where it is; returns the refs that keep finished items which were not merged, and unchecked outputs.

    Where the target is unknown or gone, nothing but the base counts as merged.
    """
    target = read_target(repo, batch)
    last = (repo.refs.read(target) if target else None) or base
    remove_leftovers(repo, batch)
    branches = repo.refs.below(item_branches(batch))
    kept = (*rescue_branches(repo, batch, branches, last), *_keep_unchecked(repo))
    delete_branches(repo, branches)
    end_batch(repo, batch, last)
    return kept


def _keep_unchecked(repo: Repository) -> tuple[str, ...]:
    """Keeps the outputs that wait for their checks as those of failed attempts; returns the refs."""
    kept = []
    with suppress(GitbatchError):
        if found := unfinished_batch(repo):
            held = read_progress(repo, found).unchecked
            for group in found.record.groups:
                kept += [
                    _keep_one(repo, found, group, held[item.key]) for item in group.items if item.key in held
                ]
    return tuple(kept)


def _keep_one(repo: Repository, batch: Batch, group: BatchGroup, held: Unchecked) -> str:
    item = next(item for item in group.items if item.key == held.item)
    user = Ident(repo.identity.name, repo.identity.email, int(time.time()))
    tried = replace(held.tried, reason=_UNCHECKED)
    message = render_rescue_message(batch.record, group, tried, Cause.UNAVAILABLE, held.agent, held.context)
    tree = repo.objects.write_tree(repo.objects.tree_of(held.base), {item.output: held.blob})
    ref = rescued_output_ref(batch.id, item.slug, tried.number)
    repo.point(ref, repo.objects.write_unsigned(tree, (held.base,), message, user, user))
    drop_unchecked(repo, batch.id, item)
    return ref
