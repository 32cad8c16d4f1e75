"""The first commit point: the stored output becomes the item's commit, and the item's branch moves to it.

From then on the item is done, whatever happens; it is never run or paid for again (rule F4).
"""

from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from gitbatch.agents.process.confine import strict_advice
from gitbatch.agents.protocol import Failure
from gitbatch.batch.history.item_commits import check_new_commit
from gitbatch.batch.history.messages import render_item_message
from gitbatch.batch.history.unchecked import Unchecked, write_unchecked
from gitbatch.batch.item.harvest import Harvest, harvest_output, judge_change
from gitbatch.batch.item.scheduled import CommitContext, ScheduledItem, StartingPoint
from gitbatch.batch.model import Outcome
from gitbatch.batch.workplace.protocol import OutputSource
from gitbatch.errors import BusyError, GitError
from gitbatch.fs.room import disk_error_at
from gitbatch.limits.causes import Cause
from gitbatch.project.context import ContextFile
from gitbatch.repo.fingerprint import require_untouched
from gitbatch.repo.objects.codec import Commit, end_message
from gitbatch.repo.repository import Repository, VanishedObjectsError
from gitbatch.text import clean_text

_T = TypeVar("_T")


def take_output(
    repo: Repository,
    commits: CommitContext,
    scheduled: ScheduledItem,
    outcome: Outcome,
    start: StartingPoint,
    source: OutputSource,
) -> Outcome | Failure:
    """Harvests the output and commits it: the first commit point.

    Until the branch refers to them, a `git gc --prune=now` of another process may remove the new objects. So they are
    looked up afterwards, and the output is taken again from its source.

    Raises:
        DiskError: our disk fails.
    """

    def write() -> Outcome | Failure:
        taken = _harvest(repo, scheduled, start, source)
        if isinstance(taken, Failure):
            return taken
        return _write_commit(repo, commits, scheduled, outcome, taken.blob, start.context)

    return _publish(repo, commits, scheduled, write)


def hold_output(
    repo: Repository,
    commits: CommitContext,
    scheduled: ScheduledItem,
    held: Unchecked,
    start: StartingPoint,
    source: OutputSource,
) -> Unchecked | Failure:
    """Harvests the output and keeps it by a ref while it is checked. `held`: its state, still without the blob.

    Raises:
        DiskError: our disk fails.
    """

    def write() -> Unchecked | Failure:
        taken = _harvest(repo, scheduled, start, source)
        if isinstance(taken, Failure):
            return taken
        whole = replace(held, blob=taken.blob)
        require_untouched(repo, commits.fingerprint)
        write_unchecked(repo, commits.batch.id, scheduled.batch_item, whole)
        return whole

    return _publish(repo, commits, scheduled, write)


def commit_held(
    repo: Repository, commits: CommitContext, scheduled: ScheduledItem, outcome: Outcome, held: Unchecked
) -> Outcome | Failure:
    """Commits an output that its checks let through: the first commit point.

    Raises:
        DiskError: our disk fails.
    """

    def write() -> Outcome | Failure:
        return _write_commit(repo, commits, scheduled, outcome, held.blob, held.context)

    return _publish(repo, commits, scheduled, write)


def _harvest(
    repo: Repository, scheduled: ScheduledItem, start: StartingPoint, source: OutputSource
) -> Harvest | Failure:
    limit, tree = scheduled.project_state.project.config.batch.max_output_bytes, scheduled.project_state.tree
    taken = harvest_output(repo, source, scheduled.item.output, limit, tree, scheduled.secrets)
    changed = judge_change(taken, scheduled.item.output, start.earlier_output)
    if isinstance(changed, Failure) and changed is not taken and _is_rejected(start):
        reason = f"{scheduled.item.output} is as the last attempt left it, and its checks have rejected that"
        return replace(changed, reason=clean_text(f"the agent changed nothing: {reason}"))
    return _add_advice(scheduled, changed) if isinstance(changed, Failure) else changed


def _is_rejected(start: StartingPoint) -> bool:
    """Whether checks have rejected the earlier output: then no advice to accept it as it is."""
    return start.earlier is not None and start.earlier.cause is Cause.CHECK_FAILED


def _write_commit(
    repo: Repository,
    commits: CommitContext,
    scheduled: ScheduledItem,
    outcome: Outcome,
    blob: str,
    context: tuple[ContextFile, ...],
) -> Outcome:
    commit = _commit_output(repo, commits, scheduled, outcome, blob, context)
    done = check_new_commit(repo, commits.batch.id, scheduled.batch_item, commit)
    if done is None:
        raise VanishedObjectsError
    return replace(outcome, commit=done)


def _publish(
    repo: Repository, commits: CommitContext, scheduled: ScheduledItem, write: Callable[[], _T | Failure]
) -> _T | Failure:
    """Stores an output, again if its objects vanish. A failure of git is one of the attempt, unless our disk fails."""

    def remove_branches_below() -> None:  # they keep git from writing the item's own
        repo.refs.delete(repo.refs.below(f"{scheduled.branch_of(commits.batch.id)}/"))

    try:
        return repo.publish(write, remove_branches_below)
    except (GitError, BusyError) as error:
        if failed := disk_error_at(error, repo.common_dir):
            raise failed from error
        return Failure(clean_text(error.message))


def _add_advice(scheduled: ScheduledItem, failure: Failure) -> Failure:
    """Adds what only the user can do about a failure: an item whose file is right as it is has no commit."""
    strict = strict_advice(scheduled.project_state.project.config.agents[scheduled.agent], scheduled.sandbox)
    if strict and failure.cause in {Cause.NO_OUTPUT, Cause.UNCHANGED}:
        failure = replace(failure, details=(*failure.details, clean_text(strict)))
    if failure.cause is not Cause.UNCHANGED:
        return failure
    advice = f"if it is right, tick the item's box in {scheduled.project_state.plan.path} by hand (- [x]) and commit that"
    return replace(failure, reason=clean_text(f"{failure.reason}; {advice}"))


def _commit_output(
    repo: Repository,
    commits: CommitContext,
    scheduled: ScheduledItem,
    outcome: Outcome,
    blob: str,
    context: tuple[ContextFile, ...],
) -> Commit:
    branch = scheduled.branch_of(commits.batch.id)
    tree = repo.objects.write_tree(scheduled.project_state.tree, {scheduled.item.output: blob})
    message = render_item_message(
        commits.batch.record,
        scheduled.batch_group,
        outcome,
        scheduled.agent,
        context,
        scheduled.item.criteria,
        scheduled.plan_item,
    )
    parents, author = (scheduled.project_state.commit,), commits.ident_of(scheduled.agent)
    # The key may be gone since the start: what is paid for is kept, and signed at the checkpoint.
    commit = repo.objects.write_signed_if_possible(tree, parents, message, author, commits.user)
    require_untouched(repo, commits.fingerprint)
    # An agent may have committed on its branch, or deleted it: its state does not matter.
    if not repo.commit_point(branch, commit, repo.refs.read(branch), "gitbatch: item"):
        raise GitError(("update-ref", branch, commit), 1, f"{branch} moved while we moved it")
    return Commit(commit, tree, parents, author.render(), commits.user.render(), False, end_message(message))
