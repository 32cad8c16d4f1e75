"""The branch that a batch runs on."""

from gitbatch.errors import GitbatchError
from gitbatch.repo.refs.names import short
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.worktree import checked_out_elsewhere


def require_not_checked_out_elsewhere(repo: Repository, ref: str) -> None:
    """Refuses to move a branch that another worktree has checked out, because that checkout would not follow.

    Raises:
        GitbatchError: another worktree has the branch checked out.
    """
    elsewhere = checked_out_elsewhere(repo, ref)
    if elsewhere:
        raise GitbatchError(
            f"branch {short(ref)} is checked out in {elsewhere}", f"run gitbatch there: -C {elsewhere}"
        )


def require_tip(repo: Repository, target: str) -> str:
    """Returns the commit of the target branch.

    Raises:
        GitbatchError: the branch does not exist any more.
    """
    tip = repo.refs.read(target)
    if tip is None:
        name = short(target)
        advice = f"create it again (git branch {name} COMMIT), or end the batch: gitbatch abort"
        raise GitbatchError(f"the target branch {name} of the batch is missing", advice)
    return tip
