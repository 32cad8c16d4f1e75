"""Ending a batch before it is complete. What was done and not merged is kept under rescue refs."""

import itertools

from gitbatch.batch.history.record import Batch, end_batch, remove_leftovers
from gitbatch.repo.refs.store import item_branches, rescue_ref
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.worktree import checked_out


def abort_batch(repo: Repository, batch: Batch) -> tuple[str, ...]:
    """End a batch where it is; returns the refs that keep what was done and not merged."""
    last = repo.refs.read(batch.record.target) or batch.base
    remove_leftovers(repo, batch.id)
    branches = repo.refs.below(item_branches(batch.id))
    kept = rescue(repo, batch.id, branches, last)
    delete_branches(repo, branches)
    end_batch(repo, batch, last)
    return kept


def rescue(repo: Repository, batch: str, branches: dict[str, str], merged: str) -> tuple[str, ...]:
    """Keep what item branches have and a commit has not, under refs; returns those."""
    kept = []
    gone = repo.objects.missing(branches.values())  # pruned: there is nothing to keep
    for branch, oid in branches.items():
        if oid not in gone and repo.git.run("merge-base", "--is-ancestor", oid, merged, check=False).status:
            ref = free_rescue_ref(repo, batch, branch.removeprefix(item_branches(batch)), oid)
            repo.point(ref, oid)
            kept.append(ref)
    return tuple(kept)


def free_rescue_ref(repo: Repository, batch: str, name: str, oid: str) -> str:
    """Returns a rescue ref that keeps no other commit: an item's branch may be rescued at several starts."""
    names = itertools.chain((name,), (f"{name}.{count}" for count in itertools.count(2)))
    refs = (rescue_ref(batch, free) for free in names)
    return next(ref for ref in refs if repo.refs.read(ref) in {None, oid})


def delete_branches(repo: Repository, branches: dict[str, str]) -> tuple[str, ...]:
    """Delete item branches, but none that somebody has checked out; returns those that stay."""
    if not branches:
        return ()
    taken = checked_out(repo)
    repo.refs.delete({ref: oid for ref, oid in branches.items() if ref not in taken})
    return tuple(ref for ref in branches if ref in taken)
