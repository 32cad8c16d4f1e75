"""Choosing the branch that a batch runs on, and the commit that a plan is read from."""

from msgspec import Struct

from gitbatch.batch.history.target import require_not_checked_out_elsewhere
from gitbatch.errors import GitbatchError, UsageError
from gitbatch.paths import ancestors
from gitbatch.repo.checkout.branch import require_nothing_under_way, require_target
from gitbatch.repo.refs.names import HEADS, short
from gitbatch.repo.repository import Repository


class Target(Struct, frozen=True):
    """The branch that checkpoints go to."""

    ref: str
    tip: str
    exists: bool
    followed: bool
    """Whether the user's checkout is on this branch, and is updated after each checkpoint."""


def find_target(repo: Repository, name: str | None) -> Target:
    """Returns the branch to run on: the one that is checked out, or the named one (at HEAD if it is new).

    Raises:
        GitbatchError: a merge or the like is in progress, HEAD is detached, there are no commits, or the branch is
            checked out in another worktree.
        UsageError: the name is not valid for a branch.
    """
    ref = None if name is None else require_branch_ref(repo, name)
    if ref is None or ref == repo.head_branch():
        require_nothing_under_way(repo)
        branch, tip = require_target(repo)
        return Target(branch, tip, exists=True, followed=True)
    require_not_checked_out_elsewhere(repo, ref)
    at = repo.refs.read(ref)
    tip_or_head = at or repo.refs.commit("HEAD")
    if tip_or_head is None:
        raise GitbatchError(
            "this repository has no commit yet", "commit the plan first: git add task.md && git commit"
        )
    return Target(ref, tip_or_head, exists=at is not None, followed=False)


def require_branch_ref(repo: Repository, name: str) -> str:
    """Returns the full name of a branch that exists or could be created.

    Raises:
        UsageError: git does not accept the name, or another branch prevents it.
    """
    said = repo.git.run("check-ref-format", "--branch", name, check=False)
    if said.status != 0 or said.stdout.decode(errors="replace").strip() != name or name.startswith("refs/"):
        raise UsageError(f"invalid branch name {name!r}", "see git help check-ref-format for what is valid")
    above = (f"{HEADS}{part}" for part in ancestors(name))
    in_the_way = next(filter(repo.refs.read, above), None) or next(
        iter(repo.refs.below(f"{HEADS}{name}/")), None
    )
    if in_the_way or name.split("/", maxsplit=1)[0] == "gitbatch":
        reason = f"there is a branch {short(in_the_way)}" if in_the_way else "gitbatch/… is for item branches"
        raise UsageError(f"cannot create branch {name}: {reason}", "give another name with --branch")
    return repo.refs.resolve(f"{HEADS}{name}")


def find_plan_commit(repo: Repository, name: str | None) -> str:
    """Returns the commit that a plan is read from when nothing is to run: the tip of a branch, or HEAD.

    Raises:
        GitbatchError: the branch does not exist, or the repository has no commit.
    """
    commit = repo.refs.commit(f"{HEADS}{name}" if name else "HEAD")
    if commit is None:
        reason = f"branch {name} does not exist" if name else "this repository has no commit yet"
        raise GitbatchError(reason, "commit the plan first: git add task.md && git commit")
    return commit
