"""Ending a batch before it is complete. Finished items that were not merged are kept under rescue refs.

It needs the refs of the batch, and of its record only the target: so it also ends a batch that another version of
gitbatch started.
"""

from gitbatch.batch.history.record import end_batch, read_target
from gitbatch.batch.history.rescue import rescue_branches
from gitbatch.batch.history.worktree_folders import remove_leftovers
from gitbatch.repo.refs.names import item_branches
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.branches import delete_branches


def abort_batch(repo: Repository, batch: str, base: str) -> tuple[str, ...]:
    """Ends a batch where it is; returns the refs that keep finished items which were not merged.

    Where the target is unknown or gone, nothing but the base counts as merged.
    """
    target = read_target(repo, batch)
    last = (repo.refs.read(target) if target else None) or base
    remove_leftovers(repo, batch)
    branches = repo.refs.below(item_branches(batch))
    kept = rescue_branches(repo, batch, branches, last)
    delete_branches(repo, branches)
    end_batch(repo, batch, last)
    return kept
