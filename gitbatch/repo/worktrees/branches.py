"""Deletes branches that no worktree has checked out."""

from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.worktree import list_checked_out


def delete_branches(repo: Repository, branches: dict[str, str]) -> tuple[str, ...]:
    """Deletes item branches that no worktree has checked out; returns the others."""
    if not branches:
        return ()
    taken = list_checked_out(repo)
    repo.refs.delete({ref: oid for ref, oid in branches.items() if ref not in taken})
    return tuple(ref for ref in branches if ref in taken)
