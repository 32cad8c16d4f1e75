"""The branch that a batch runs on."""

from gitbatch.errors import GitbatchError
from gitbatch.repo.refs.names import short
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.worktree import checked_out_elsewhere


def require_not_checked_out_elsewhere(repo: Repository, ref: str) -> None:
    """Refuse to move a branch under another checkout, which would not follow.

    Raises:
        GitbatchError: another worktree has the branch checked out.
    """
    elsewhere = checked_out_elsewhere(repo, ref)
    if elsewhere:
        raise GitbatchError(
            f"branch {short(ref)} is checked out in {elsewhere}", f"run gitbatch there: -C {elsewhere}"
        )


def require_tip(repo: Repository, target: str) -> str:
    """The commit of the target branch.

    Raises:
        GitbatchError: the branch is gone.
    """
    tip = repo.refs.read(target)
    if tip is None:
        name = short(target)
        advice = (
            f"make it again where it was (git branch {name} COMMIT), or end the batch with gitbatch abort"
        )
        raise GitbatchError(f"branch {name}, which the batch runs on, is gone", advice)
    return tip
