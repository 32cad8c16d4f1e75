"""Recording a review: all of its decisions are one commit, built as objects; then the branch moves once.

What a review takes back is put back by `put_back.py`; what it writes into the shared files stands in `review_files.py`.
"""

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.group.checkpoint import TRIES, keeps_moving, require_phase, require_target_free
from gitbatch.batch.group.follow import follow_checkout, follow_locked
from gitbatch.batch.group.put_back import (
    ReviewConflictError,
    find_put_back,
    find_taken_back,
    require_committed,
)
from gitbatch.batch.group.review_files import ReviewContent, consolidate_review
from gitbatch.batch.group.shared_files import Consolidation
from gitbatch.batch.history.decisions import DecisionKind, ItemDecision, ItemName
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.review_message import render_review_message
from gitbatch.batch.history.spending import read_merged_outcomes, read_versions
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.item.scheduled import CommitContext
from gitbatch.batch.model import BatchItem, Outcome
from gitbatch.batch.planning.project_state import read_project_state
from gitbatch.batch.planning.required_objects import require_shared_files
from gitbatch.batch.planning.stale import find_stale_items
from gitbatch.errors import GitbatchError
from gitbatch.paths import quote_path
from gitbatch.repo.checkout.follow import Followed, index_lock
from gitbatch.repo.fingerprint import require_untouched
from gitbatch.repo.refs.names import building_ref, followed_ref
from gitbatch.repo.repository import Repository, VanishedObjectsError
from gitbatch.text import CleanText, list_names


class RecordedReview(Struct, frozen=True):
    """A review that is in history."""

    commit: str
    before: str
    """The commit of the branch before it."""
    notes: tuple[CleanText, ...] = ()
    kept: tuple[str, ...] = ()
    """Paths at which the checkout keeps the user's own version."""


def record_review(
    repo: Repository,
    commits: CommitContext,
    state: BatchProgress,
    decisions: tuple[ItemDecision, ...],
    now: float,
) -> RecordedReview:
    """Records the decisions of a review on the target branch, and updates the checkout.

    Args:
        repo: the repository.
        commits: the values that commits need.
        state: the progress of the batch; the checkout has followed all of it.
        decisions: each about another item; one that is undone may also be retried.
        now: seconds since the epoch.

    Raises:
        ReviewConflictError: a path is not as the decision saw it, or as the item left it. Nothing has changed.
        GitbatchError: an item is not up for such a decision.
        BusyError: the branch keeps moving.
    """
    batch = commits.batch
    _require_possible(repo, batch, state, decisions)
    target = batch.record.target
    require_target_free(repo, target)
    require_committed(repo, batch.record, decisions)
    if repo.head_branch() == target:
        with index_lock(repo):
            made = _move_target(repo, commits, state, decisions, now)
            followed = follow_locked(repo, batch.record, made.before, made.commit)
    else:
        made = _move_target(repo, commits, state, decisions, now)
        followed = follow_checkout(repo, batch.record, made.before, made.commit)
    return _finish(repo, batch.id, made, followed)


def preview_review(
    repo: Repository,
    commits: CommitContext,
    state: BatchProgress,
    decisions: tuple[ItemDecision, ...],
    now: float,
) -> None:
    """Raises the errors that recording a review would raise. No ref moves; arguments and errors: see above."""
    _require_possible(repo, commits.batch, state, decisions)
    require_target_free(repo, commits.batch.record.target)
    require_committed(repo, commits.batch.record, decisions)
    _build_review(repo, replace(commits, signs=False), state, decisions, now)


def _finish(repo: Repository, batch: str, made: RecordedReview, followed: Followed) -> RecordedReview:
    repo.point(followed_ref(batch), made.commit)
    if held := repo.refs.read(building_ref(batch)):
        repo.refs.delete({building_ref(batch): held})
    return RecordedReview(made.commit, made.before, (*made.notes, *followed.notes), followed.kept)


def _move_target(
    repo: Repository,
    commits: CommitContext,
    state: BatchProgress,
    decisions: tuple[ItemDecision, ...],
    now: float,
) -> RecordedReview:
    target = commits.batch.record.target

    def build() -> RecordedReview:
        made = _build_review(repo, commits, state, decisions, now)
        # From here on a `git gc --prune=now` of another process keeps the new objects; did one run before?
        repo.point(building_ref(commits.batch.id), made.commit)
        trees = tuple(map(repo.objects.tree_of, (made.before, made.commit)))
        wanted = {change.new.oid for change in repo.objects.diff_trees(*trees) if change.new}
        if repo.objects.find_missing(wanted):
            raise VanishedObjectsError
        return made

    for _ in range(TRIES):
        made = repo.publish(build)
        require_untouched(repo, commits.fingerprint)
        if repo.commit_point(target, made.commit, made.before, "gitbatch: review"):
            return made
    raise keeps_moving(target)


def _build_review(
    repo: Repository,
    commits: CommitContext,
    state: BatchProgress,
    decisions: tuple[ItemDecision, ...],
    now: float,
) -> RecordedReview:
    batch = commits.batch
    record, group = batch.record, state.finished[-1].group
    tip = require_tip(repo, record.target)
    project_state = read_project_state(repo, tip, record.plan)
    require_phase(record, project_state)
    require_shared_files(repo, project_state)
    _require_as_seen(repo, project_state.tree, decisions)
    taken = find_taken_back(repo, batch, state, decisions)
    paths = find_put_back(repo, project_state.tree, taken)
    decided = ReviewContent(group, _shown_outcomes(repo, commits, state, decisions), decisions, taken)
    shared = consolidate_review(record, decided, project_state, now)
    _require_open_phase(shared, decisions)
    blobs = {path: repo.objects.write_blob(content) for path, content in shared.files}
    tree = repo.objects.write_tree(project_state.tree, {**paths, **blobs})
    message = render_review_message(record, group, decisions)
    write = repo.objects.write_commit if commits.signs else repo.objects.write_unsigned
    commit = write(tree, (tip,), message, commits.user, commits.user)
    return RecordedReview(commit, tip, shared.notes)


def _require_open_phase(shared: Consolidation, decisions: tuple[ItemDecision, ...]) -> None:
    """Refuses to make items run again where nothing runs (rule O6): the next run would end the batch without them.

    Raises:
        GitbatchError: every criterion is ticked after the review, too.
    """
    again = tuple(quote_path(d.item.output) for d in decisions if d.kind.reopens)
    if again and shared.criteria and all(criterion.done for criterion in shared.criteria):
        raise GitbatchError(
            f"every criterion of the Definition of Done is ticked, so nothing runs: {list_names(again)}",
            "nothing was decided. Untick one, commit that, and decide again",
        )


def _require_possible(
    repo: Repository, batch: Batch, state: BatchProgress, decisions: tuple[ItemDecision, ...]
) -> None:
    """Refuses decisions about items that are not up for them.

    Raises:
        GitbatchError: the message names the first such item.
    """
    known = {ItemName(item.group, item.output): item for item in batch.record.items}
    taken = {decision.item for decision in decisions if decision.kind is DecisionKind.UNDO}
    problems = [
        (known[decision.item], decision.kind, problem)
        for decision in decisions
        if not (decision.kind is DecisionKind.RETRY and decision.item in taken)
        and (problem := find_decision_problem(state, known[decision.item], decision.kind))
    ]
    is_retried = any(kind is DecisionKind.RETRY for _, kind, _ in problems)
    stale = {each.slug for each in find_stale_items(repo, batch, state)} if is_retried else set()
    for item, kind, problem in problems:
        if kind is not DecisionKind.RETRY or item.key not in stale:
            raise GitbatchError(
                f"{item.name} cannot be {kind.word}: {problem}", "see what can: gitbatch review --list"
            )


def find_decision_problem(state: BatchProgress, item: BatchItem, kind: DecisionKind) -> str:
    """Returns why an item is not up for a decision; empty if it is."""
    finished = next((f for f in state.finished if f.group.number == item.group), None)
    if finished is None:
        return "its group has no checkpoint yet"
    failed = next((outcome for outcome in finished.failed if outcome.item == item), None)
    is_again = item.key in finished.reopened
    if kind is DecisionKind.RETRY:
        fine = "it has succeeded, and what it read has not changed: send it back"
        return "" if failed or is_again else fine  # another agent, or a batch that was ended before it ran
    if kind is DecisionKind.APPROVE and is_again:
        return "it was sent back and has not run again yet"
    if kind is DecisionKind.APPROVE and failed:
        return f"it is {failed.status}"
    has_output = bool(finished.standings[item.key].brought_by)
    return "" if has_output else "nothing of it is in history"


def _require_as_seen(repo: Repository, tree: str, decisions: tuple[ItemDecision, ...]) -> None:
    """Refuses decisions about another version of a file than the branch has.

    Raises:
        ReviewConflictError: the message names the files.
    """
    entries = {d.item.output: repo.objects.find_entry(tree, d.item.output) for d in decisions}
    changed = [
        d.item.output
        for d in decisions
        if (entry.oid if (entry := entries[d.item.output]) else None) != d.blob
    ]
    if changed:
        names = list_names(tuple(map(quote_path, changed)))
        raise ReviewConflictError(
            f"changed since it was looked at: {names}",
            "nothing was decided. Look again: gitbatch review --list",
        )


def _shown_outcomes(
    repo: Repository, commits: CommitContext, state: BatchProgress, decisions: tuple[ItemDecision, ...]
) -> tuple[Outcome, ...]:
    """Returns the outcomes that the status shows: of the last group, and of all items that are decided about."""
    decided = {decision.item for decision in decisions}
    shown = []
    for finished in state.finished:
        again = [o for o in read_versions(repo, commits.batch, finished) if o.item.key in finished.reopened]
        merged = read_merged_outcomes(repo, commits.batch, finished)
        known = {outcome.item.key: outcome for outcome in (*again, *merged, *finished.failed)}
        is_last = finished is state.finished[-1]
        shown += [
            known[item.key]
            for item in finished.group.items
            if item.key in known and (is_last or ItemName(item.group, item.output) in decided)
        ]
    return tuple(shown)
