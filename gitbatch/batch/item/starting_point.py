"""What an attempt starts from: a new worktree, what its agent is to read, what an earlier attempt had written."""

from pathlib import Path

from msgspec.structs import replace

from gitbatch.batch.history.rescue import Rescued
from gitbatch.batch.item.rescue import StartingPoint, find_usable
from gitbatch.batch.item.run import ItemTask, Run
from gitbatch.batch.planning.risks import mark_filtered
from gitbatch.errors import GitError
from gitbatch.fs.disk import DiskError
from gitbatch.project.context import ContextFile, list_context
from gitbatch.project.scope import SCOPE_FILE
from gitbatch.repo.attributes import FilteredPathError, put_output
from gitbatch.repo.fingerprint import require_untouched
from gitbatch.repo.worktrees.worktree import NewWorktree, Worktree, add_worktree, remove_worktree


def prepare(run: Run, task: ItemTask, place: Path) -> StartingPoint:
    """Makes what an agent starts from.

    Args:
        run: the tools.
        task: the item.
        place: where its worktree goes.
    """
    project_state = task.project_state
    listed = list_context(
        task.item, task.group, project_state.plan, project_state.project, project_state.snapshot
    )
    context = mark_filtered(run.repo, project_state, listed)
    try:
        return StartingPoint(
            _make_worktree(run, task, place, context), context, _put_earlier(run, task, place)
        )
    except OSError as error:
        raise DiskError(
            f"a worktree can't be made in {place.parent}: {error.strerror}",
            "make room or the folder writable, or set GITBATCH_WORKTREES to another; then gitbatch run goes on",
        ) from error


def _put_earlier(run: Run, task: ItemTask, place: Path) -> Rescued | None:
    """Puts what an earlier attempt had written into a new worktree, where there is any and it still fits."""
    earlier = find_usable(run, task)
    if earlier:
        try:
            put_output(run.repo, place, task.item.output, earlier.commit.blob, task.project_state.tree)
        except FilteredPathError:  # the user's own attributes have changed: the harvest says what is wrong
            return None
    return earlier


def _make_worktree(run: Run, task: ItemTask, place: Path, context: tuple[ContextFile, ...]) -> Worktree:
    sparse = None
    if task.project_state.project.config.batch.checkout == "context":
        folder = task.item.output.rpartition("/")[0]
        sparse = (*(file.path for file in context), f"{folder}/" if folder else task.item.output)
    branch = task.branch(run.batch.id)
    new = NewWorktree(place, branch, task.project_state.commit, task.item.output, sparse)
    require_untouched(run.repo, run.fingerprint)  # git runs filters when it fills a worktree
    try:
        made = add_worktree(run.repo, run.agent_git, new)
    except GitError:  # an agent without a sandbox has put something where the branch belongs
        remove_worktree(run.repo, place)
        run.repo.refs.remove(branch)
        run.repo.refs.delete(run.repo.refs.below(f"{branch}/"))
        made = add_worktree(run.repo, run.agent_git, new)
    guarded = tuple(p for p in (SCOPE_FILE, *task.project_state.project.shared_files) if (place / p).exists())
    return replace(made, guarded=guarded)
