"""The branch that is checked out, and whether it may be moved."""

from gitbatch.errors import GitbatchError
from gitbatch.fs.disk import raising_only_of_disk
from gitbatch.repo.refs.names import HEADS
from gitbatch.repo.repository import Repository

_UNDER_WAY = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase or git am",
}


def require_nothing_under_way(repo: Repository) -> None:
    """Raises an error if an operation is under way in the checkout, so that its branch must not be moved.

    Raises:
        GitbatchError: a merge, rebase, cherry-pick or revert is under way.
    """
    for name, what in _UNDER_WAY.items():
        if (repo.git_dir / name).exists():
            raise GitbatchError(
                f"{what} is under way in this checkout", "finish or abort it (see git status) first"
            )


def require_movable(repo: Repository, branch: str) -> None:
    """Raises an error if a branch (full name) must not be moved, because an operation on it is under way here.

    Raises:
        GitbatchError: a merge or the like is under way on it, or a rebase of it.
    """
    if repo.head_branch() == branch:
        require_nothing_under_way(repo)
    for name in ("rebase-merge", "rebase-apply"):
        with raising_only_of_disk():
            rebased = (repo.git_dir / name / "head-name").read_text(errors="surrogateescape").strip()
            if rebased == branch:
                require_nothing_under_way(repo)


def require_target(repo: Repository) -> tuple[str, str]:
    """Returns the branch that is checked out and its commit.

    Raises:
        GitbatchError: the HEAD is detached, or the branch has no commit yet.
    """
    branch = repo.head_branch()
    if branch is None:
        raise GitbatchError(
            "HEAD is detached: checkpoints need a branch",
            "check out a branch (git switch NAME), or name one with --branch",
        )
    tip = repo.refs.read(branch)
    if tip is None:
        name = branch.removeprefix(HEADS)
        raise GitbatchError(
            f"branch {name} has no commit yet", "commit the plan first: git add task.md && git commit -m plan"
        )
    return branch, tip
