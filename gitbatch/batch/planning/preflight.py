"""The conditions under which a batch may start or resume. Each function refuses with an error, or returns."""

from collections.abc import Iterable
from pathlib import Path

from gitbatch.batch.planning.item_problems import find_nesting
from gitbatch.batch.planning.project_state import ProjectState
from gitbatch.batch.planning.surroundings import CommitSurroundings
from gitbatch.errors import GitbatchError, PlanError, UsageError
from gitbatch.project.config import CONFIG_FILE
from gitbatch.repo.checkout.follow import find_uncommitted
from gitbatch.repo.refs.names import HEADS
from gitbatch.repo.repository import Repository


def require_clean(
    repo: Repository,
    project_state: ProjectState,
    outputs: tuple[str, ...],
    exempt: frozenset[str] = frozenset(),
) -> None:
    """Refuses uncommitted changes in gitbatch.toml and in files that a checkpoint writes.

    `exempt`: files that may have some.

    Raises:
        GitbatchError: one of these files has uncommitted changes; the message names them.
    """
    written = (CONFIG_FILE, *project_state.project.shared_files, *outputs)
    dirty = find_uncommitted(repo, tuple(path for path in written if path not in exempt))
    if dirty:
        raise GitbatchError(
            f"uncommitted changes in {', '.join(dirty[:5])}{' and more' * (len(dirty) > 5)}",
            "commit or stash them first: gitbatch reads its configuration from the commit, and writes the other files"
            if CONFIG_FILE in dirty
            else "commit or stash them first: gitbatch writes these files itself",
        )


def require_no_nested_repositories(
    repo: Repository, project_state: ProjectState, outputs: Iterable[str]
) -> None:
    """Refuses an output below a nested repository that was created after the batch began.

    Raises:
        PlanError: an output cannot be written.
    """
    around = CommitSurroundings(repo, project_state, followed=True)
    for output in outputs:
        problem = find_nesting(output, around)
        if problem:
            raise PlanError(f"cannot write the output {output}: {problem}", "move that repository away")


def require_no_gitbatch_branch(repo: Repository) -> None:
    """Refuses a branch called `gitbatch`: git cannot create `gitbatch/…` next to it.

    Raises:
        GitbatchError: there is a branch called gitbatch.
    """
    if repo.refs.read(f"{HEADS}gitbatch"):
        raise GitbatchError(
            "there is a branch called gitbatch, and item branches are called gitbatch/…",
            "rename yours: git branch -m gitbatch some-other-name",
        )


def require_outside_worktrees_dir(repo: Repository, worktrees_dir: Path) -> None:
    """Refuses a folder for worktrees that is inside the user's checkout or its git directory.

    Raises:
        UsageError: it is inside.
    """
    folder = worktrees_dir.resolve()
    if any(folder.is_relative_to(here.resolve()) for here in (repo.root, repo.common_dir)):
        raise UsageError(
            f"cannot create worktrees in {worktrees_dir}: it is inside the repository",
            "set worktrees under [batch], or GITBATCH_WORKTREES, to a folder outside",
        )
