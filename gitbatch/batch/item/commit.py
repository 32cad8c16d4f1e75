"""The first commit point: what a harvest gave becomes the item's commit, and the item's branch moves to it.

From then on the item is done, whatever happens; it is never run or paid for again (rule F4).
"""

from msgspec.structs import replace

from gitbatch.agents.process.confine import strict_advice
from gitbatch.agents.protocol import EarlierOutput, Failure
from gitbatch.batch.history.item_commits import read_item_commit
from gitbatch.batch.history.messages import render_item_message
from gitbatch.batch.item.harvest import harvest, judge_change
from gitbatch.batch.item.run import ItemTask, Run
from gitbatch.batch.model import Outcome
from gitbatch.errors import BusyError, GitError
from gitbatch.fs.disk import disk_error
from gitbatch.fs.room import require_room
from gitbatch.limits.causes import Cause
from gitbatch.project.context import ContextFile
from gitbatch.repo.fingerprint import require_untouched
from gitbatch.repo.objects.codec import Ident
from gitbatch.repo.repository import VanishedObjectsError
from gitbatch.repo.worktrees.worktree import Worktree
from gitbatch.text import clean_text


def take_output(
    run: Run,
    task: ItemTask,
    worktree: Worktree,
    outcome: Outcome,
    context: tuple[ContextFile, ...],
    earlier: EarlierOutput | None,
) -> Outcome | Failure:
    """Harvest the output and commit it: the first commit point.

    Until the branch has them, a `git gc --prune=now` somewhere may remove the new objects; so they are looked
    for afterwards, and taken again, as long as the worktree is there.

    Raises:
        DiskError: our disk does not take it.
    """
    limit = task.project_state.project.config.batch.max_output_bytes
    secrets = run.agents.find_secrets(task.project_state.project.config)
    repo = run.repo

    def write() -> Outcome | Failure:
        taken = harvest(repo, worktree.path, task.item.output, limit, task.project_state.tree, secrets)
        taken = judge_change(taken, task.item.output, earlier)
        if isinstance(taken, Failure):
            return _advised(run, task, taken)
        commit = _commit(run, task, outcome, taken.blob, context)
        done = read_item_commit(repo, run.batch.id, task.batch_item, commit)
        if done is None:
            raise VanishedObjectsError
        return replace(outcome, commit=done.commit)

    def remove_branches_below() -> None:  # they keep git from writing the item's own
        repo.refs.delete(repo.refs.below(f"{task.branch(run.batch.id)}/"))

    try:
        return repo.publish(write, remove_branches_below)
    except (GitError, BusyError) as error:
        if failed := disk_error(error):
            raise failed from error
        require_room(run.worktrees_dir, repo.common_dir)
        return Failure(clean_text(error.message))


def _advised(run: Run, task: ItemTask, failure: Failure) -> Failure:
    """The failure with what only the user can do about it: an item whose file is right as it is has no commit."""
    strict = strict_advice(task.project_state.project.config.agents[task.agent], run.agents.sandbox)
    if strict and failure.cause in {Cause.NO_OUTPUT, Cause.UNCHANGED}:
        failure = replace(failure, details=(*failure.details, clean_text(strict)))
    if failure.cause is not Cause.UNCHANGED:
        return failure
    advice = f"if it is right, tick the item's box in {task.project_state.plan.path} by hand (- [x]) and commit that"
    return replace(failure, reason=clean_text(f"{failure.reason}; {advice}"))


def _commit(run: Run, task: ItemTask, outcome: Outcome, blob: str, context: tuple[ContextFile, ...]) -> str:
    repo, branch = run.repo, task.branch(run.batch.id)
    tree = repo.objects.write_tree(task.project_state.tree, {task.item.output: blob})
    message = render_item_message(
        run.batch.record, task.batch_group, outcome, task.agent, context, task.item.criteria
    )
    author = Ident(f"{task.agent} (gitbatch agent)", "agent@gitbatch.invalid", int(run.clock()))
    parts = (tree, (task.project_state.commit,), message, author, run.committer())
    # The key may be gone since the start: what is paid for is kept, and signed at the checkpoint.
    commit = repo.objects.write_signed_if_possible(*parts)
    require_untouched(repo, run.fingerprint)
    # An agent may have committed on its branch, or deleted it: that is not asked.
    if not repo.commit_point(branch, commit, repo.refs.read(branch), "gitbatch: item"):
        raise GitError(("update-ref", branch, commit), 1, f"{branch} moved while we moved it")
    return commit
