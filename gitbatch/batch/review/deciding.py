"""Decisions of a person about the items of a batch, from outside of a run: what is to be decided, and recording it.

They go to the unfinished batch, else to the last one, as long as the branch still has its checkpoints. What makes an item
run again opens an ended batch first: its end ref is removed before the review is recorded, so a kill in between leaves a
batch whose next run has nothing to do and ends it again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from gitbatch.batch.group.put_back import ReviewConflictError
from gitbatch.batch.group.review import RecordedReview, preview_review, record_review
from gitbatch.batch.group.set_aside import note_conflicts
from gitbatch.batch.history.decisions import (
    LONGEST_COMMENT,
    DecisionKind,
    ItemDecision,
    ItemName,
    clean_comment,
)
from gitbatch.batch.history.ledger import Ledger
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.item.scheduled import CommitContext
from gitbatch.batch.model import ItemStatus
from gitbatch.batch.planning.project_state import read_project_state
from gitbatch.batch.resume import resume_batch
from gitbatch.batch.review.choices import LIST, Choice
from gitbatch.batch.review.reviewable import Reviewable, list_review_items
from gitbatch.errors import GitbatchError, UsageError
from gitbatch.plan.model import ItemKey
from gitbatch.repo.fingerprint import take_fingerprint
from gitbatch.repo.objects.codec import Ident
from gitbatch.repo.refs.names import end_ref
from gitbatch.repo.repository import Repository
from gitbatch.text import list_names

_RESUME = "resume: gitbatch run"
_SHORTEST_BLOB = 7
"""The fewest digits by which a blob is named, as in git."""


StartCheck: TypeAlias = Callable[[Repository, Batch, BatchProgress, tuple[ItemDecision, ...]], None]
"""Refuses decisions after which a run would not start: see `RerunChecks.require_start`."""


def decide_items(
    repo: Repository,
    found: Reviewable,
    choices: tuple[Choice, ...],
    clock: Callable[[], float],
    require_start: StartCheck | None = None,
    *,
    is_running: bool = False,
) -> RecordedReview:
    """Records choices as one review.

    Args:
        repo: the repository, whose lock is held.
        found: the batch, as `find_reviewable` gives it under that lock.
        choices: each about another item.
        clock: seconds since the epoch.
        require_start: judges the decisions before they are recorded; None: no run follows at once.
        is_running: whether the run of this process has early items that work: then it has left nothing to make good.

    Raises:
        UsageError: nothing is chosen, an item is chosen twice, or a comment is too long.
        GitbatchError: an item is not up for such a decision, or its file has changed since. Nothing has changed.
    """
    with advising_to_decide_again():
        _require_choices(choices)
        _require_seen(repo, found, choices)
        if not is_running:
            resume_batch(repo, found.batch)
        return _decide(repo, found, choices, clock, require_start)


@contextmanager
def advising_to_decide_again() -> Iterator[None]:
    """Corrects the advice of errors that a run has as well: what is to be repeated is the decision."""
    try:
        yield
    except GitbatchError as error:
        error.advice = error.advice.replace(f"{_RESUME} (finished items are kept)", _RESUME)
        error.advice = error.advice.replace(_RESUME, "decide again")
        raise


def _decide(
    repo: Repository,
    found: Reviewable,
    choices: tuple[Choice, ...],
    clock: Callable[[], float],
    require_start: StartCheck | None,
) -> RecordedReview:
    batch = found.batch
    now = clock()
    user = Ident(repo.identity.name, repo.identity.email, int(now))
    commits = CommitContext(batch, take_fingerprint(repo, f"{batch.id}-"), user)
    tip = require_tip(repo, batch.record.target)
    _require_agents(repo, batch, tip, choices)
    tree = repo.objects.tree_of(tip)
    decisions = tuple(each for choice in choices for each in _as_decisions(repo, choice, tree))
    preview_review(repo, commits, found.state, decisions, now)
    if require_start:
        require_start(repo, batch, found.state, decisions)
    decided = {choice.item for choice in choices}
    conflicts = (o for o in found.state.failed if o.status is ItemStatus.CONFLICTED and o.item in decided)
    note_conflicts(repo, Ledger.open(repo, batch), tuple(conflicts))
    return _record_decisions(repo, commits, found.state, decisions, now)


def _require_choices(choices: tuple[Choice, ...]) -> None:
    """Refuses choices that are none, about the same item, or with too long a comment.

    Raises:
        UsageError: they are.
    """
    if not choices:
        raise UsageError("there is nothing to decide", LIST)
    if len({choice.item.key for choice in choices}) < len(choices):
        raise UsageError("an item is decided twice", "name each item once")
    longest = max(len(choice.comment) for choice in choices)
    if longest > LONGEST_COMMENT:
        raise UsageError(
            f"the comment has {longest:,} characters; {LONGEST_COMMENT:,} is the most",
            "nothing was decided. Commit the long part as a file, and name it in the comment",
        )


def _record_decisions(
    repo: Repository,
    commits: CommitContext,
    state: BatchProgress,
    decisions: tuple[ItemDecision, ...],
    now: float,
) -> RecordedReview:
    """Records decisions; an ended batch is open afterwards if one makes an item run again, else it ends with the review."""
    batch = commits.batch
    tip, end = require_tip(repo, batch.record.target), repo.refs.read(end_ref(batch.id))
    runs_again = any(decision.kind.reopens for decision in decisions)
    if end and runs_again:
        repo.refs.delete({end_ref(batch.id): end})
    try:
        made = record_review(repo, commits, state, decisions, now)
    except GitbatchError:
        if end and runs_again and require_tip(repo, batch.record.target) == tip:
            repo.refs.create(end_ref(batch.id), end)  # nothing is recorded: the batch has ended as before
        raise
    if end and not runs_again:
        repo.commit_point(end_ref(batch.id), made.commit, end, "gitbatch: reviewed")
    return made


def _require_agents(repo: Repository, batch: Batch, tip: str, choices: tuple[Choice, ...]) -> None:
    """Refuses an agent that is not configured.

    Raises:
        PlanError: the message names those that are.
    """
    names = {choice.agent for choice in choices if choice.agent is not None}
    if names:
        config = read_project_state(repo, tip, batch.record.plan).project.config
        for name in sorted(names):
            config.agent_name(name)


def _require_seen(repo: Repository, found: Reviewable, choices: tuple[Choice, ...]) -> None:
    """Refuses choices about items that were decided about since the person looked, or that have run again.

    Raises:
        ReviewConflictError: the message names them, with what was decided.
    """
    seen = {choice.item.key: choice.review for choice in choices if choice.review is not None}
    if not seen:
        return
    changed = tuple(
        f"{item.name} ({item.decision.word if item.decision else 'has run again'})"
        for item in list_review_items(repo, found)
        if item.review != seen.get(ItemKey(item.slug), item.review)
    )
    if changed:
        raise ReviewConflictError(
            f"decided elsewhere meanwhile: {list_names(changed)}",
            "nothing was decided. Look again: gitbatch review --list",
        )


def _as_decisions(repo: Repository, choice: Choice, tree: str) -> tuple[ItemDecision, ...]:
    item = choice.item
    entry = repo.objects.find_entry(tree, item.output)
    now, seen = entry.oid if entry else None, choice.blob
    if not seen or (now and len(seen) >= _SHORTEST_BLOB and now.startswith(seen.lower())):
        seen = now
    name = ItemName(item.group, item.output)
    agent = choice.agent or ""
    decided = ItemDecision(choice.kind, name, seen, clean_comment(choice.comment), agent)
    return (decided, ItemDecision(DecisionKind.RETRY, name, seen)) if choice.runs_again else (decided,)
