"""Blocked items that can start again, because a review makes what they lack run again."""

from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.model import BatchItem, ItemStatus
from gitbatch.batch.planning.missing_inputs import InputFinder, find_blocking_input
from gitbatch.batch.planning.project_state import read_project_state
from gitbatch.repo.repository import Repository


def find_freed_items(
    repo: Repository, batch: Batch, state: BatchProgress, again: tuple[BatchItem, ...]
) -> tuple[BatchItem, ...]:
    """Returns the blocked items of recorded groups that lack nothing but what some items write, transitively.

    Args:
        repo: the repository.
        batch: the batch.
        state: its progress.
        again: the items that run again now, besides those that an earlier review made run again.
    """
    project_state = read_project_state(repo, require_tip(repo, batch.record.target), batch.record.plan)
    planned, project = project_state.find_items(batch.record), project_state.project
    failed = {outcome.item.output: outcome for outcome in state.failed}
    chosen = frozenset(item.output for item in batch.record.items)
    inputs = InputFinder(project_state.plan, project, project_state.snapshot, failed, chosen)
    written = {item.output for item in (*again, *_find_reopened(batch, state))}
    known, freed = {item.key for item in again}, list[BatchItem]()
    for outcome in state.failed:  # in the order of the plan: what an item lacks comes before it
        item, found = outcome.item, planned.get(outcome.item.key)
        if outcome.status is not ItemStatus.BLOCKED or item.key in known or found is None:
            continue
        lacked = inputs.find_missing(found[1], found[0])
        others = tuple(missing for missing in lacked if missing.path not in written)
        is_lifted = len(others) < len(lacked) or item.output in written
        if is_lifted and not find_blocking_input(others, project.config.batch, batch.record.checkpoint_mode):
            freed.append(item)
            written.add(item.output)
    return tuple(freed)


def _find_reopened(batch: Batch, state: BatchProgress) -> tuple[BatchItem, ...]:
    return tuple(item for item in batch.record.items if item.key in state.reopened)
