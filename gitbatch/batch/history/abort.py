"""Ending a batch before it is complete. What was done and not merged is kept under rescue refs."""

from gitbatch.batch.history.record import Batch, end_batch, remove_leftovers
from gitbatch.batch.history.rescue import delete_branches, rescue
from gitbatch.repo.refs.names import item_branches
from gitbatch.repo.repository import Repository


def abort_batch(repo: Repository, batch: Batch) -> tuple[str, ...]:
    """End a batch where it is; returns the refs that keep what was done and not merged."""
    last = repo.refs.read(batch.record.target) or batch.base
    remove_leftovers(repo, batch.id)
    branches = repo.refs.below(item_branches(batch.id))
    kept = rescue(repo, batch.id, branches, last)
    delete_branches(repo, branches)
    end_batch(repo, batch, last)
    return kept
