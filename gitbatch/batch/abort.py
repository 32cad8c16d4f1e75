"""Ending a batch before it is complete. What was done and not merged is kept under rescue refs."""

from gitbatch.batch.merge import finished
from gitbatch.batch.record import Batch, end_batch, remove_leftovers
from gitbatch.repo.refs import item_branch, item_branches, rescue_ref
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees import checked_out


def abort_batch(repo: Repository, batch: Batch) -> tuple[str, ...]:
    """End a batch where it is; returns the refs that keep what was done and not merged."""
    last = repo.refs.read(batch.record.target) or batch.base
    remove_leftovers(repo, batch.id)
    kept = []
    for item in batch.record.items:
        oid = repo.refs.read(item_branch(batch.id, item.slug))
        if oid and finished(repo, batch.id, item, oid):
            repo.refs.point(rescue_ref(batch.id, item.slug), oid)
            kept.append(rescue_ref(batch.id, item.slug))
    delete_branches(repo, repo.refs.below(item_branches(batch.id)))
    end_batch(repo, batch, last)
    return tuple(kept)


def delete_branches(repo: Repository, branches: dict[str, str]) -> tuple[str, ...]:
    """Delete item branches, but none that somebody has checked out; returns those that stay."""
    if not branches:
        return ()
    taken = checked_out(repo)
    repo.refs.delete({ref: oid for ref, oid in branches.items() if ref not in taken})
    return tuple(ref for ref in branches if ref in taken)
