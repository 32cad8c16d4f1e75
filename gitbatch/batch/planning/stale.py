"""Stale items: recorded ones that were written from other versions of files than the branch has by now."""

from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.reads import RecordedItem, StaleItem, find_stale, read_recorded_items
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.planning.project_state import read_project_state
from gitbatch.repo.repository import Repository


def find_stale_items(repo: Repository, batch: Batch, state: BatchProgress) -> tuple[StaleItem, ...]:
    """Returns the stale items of a batch, in the order of the plan, from git alone. Changes nothing.

    The shared files do not count: every checkpoint changes them.

    Raises:
        GitbatchError: the branch is missing, or has no readable plan.
    """
    return find_stale_among(repo, batch, read_recorded_items(repo, batch, state))


def find_stale_among(
    repo: Repository, batch: Batch, recorded: tuple[RecordedItem, ...]
) -> tuple[StaleItem, ...]:
    """Returns the stale ones of all recorded items of a batch. Raises as above."""
    project_state = read_project_state(repo, require_tip(repo, batch.record.target), batch.record.plan)
    ignored = frozenset(project_state.project.shared_files)
    return find_stale(recorded, project_state.snapshot.blob, ignored)
