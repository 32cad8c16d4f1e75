"""Decisions of a person about the items of a batch, from outside of a run: what is to be decided, and recording it.

They go to the unfinished batch, else to the last one, as long as the branch still has its checkpoints. What makes an item
run again opens an ended batch first: its end ref is removed before the review is recorded, so a kill in between leaves a
batch whose next run has nothing to do and ends it again.
"""

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

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
from gitbatch.batch.history.progress import BatchProgress, read_ended_progress, read_progress
from gitbatch.batch.history.reads import find_dependants, read_recorded_items
from gitbatch.batch.history.record import Batch, all_batches
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.item.scheduled import CommitContext
from gitbatch.batch.model import BatchItem, ItemStatus
from gitbatch.batch.planning.freed import find_freed_items
from gitbatch.batch.planning.project_state import read_project_state
from gitbatch.batch.planning.stale import find_stale_items
from gitbatch.batch.resume import resume_batch
from gitbatch.batch.review_item import REOPENED, ReviewItem
from gitbatch.errors import GitbatchError, UsageError
from gitbatch.plan.model import ItemKey
from gitbatch.repo.fingerprint import take_fingerprint
from gitbatch.repo.objects.codec import Ident
from gitbatch.repo.refs.names import end_ref, short
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text, list_names

LIST = "see what is to be decided: gitbatch review --list"
SHOW_BLOBS = "gitbatch review --list --json"
_SHORTEST_BLOB = 7
"""The fewest digits by which a blob is named, as in git."""


class Reviewable(Struct, frozen=True):
    """The batch that decisions go to."""

    batch: Batch
    state: BatchProgress

    @property
    def items(self) -> dict[ItemKey, BatchItem]:
        """The items that have a checkpoint, by key, in the order of the plan."""
        return {item.key: item for finished in self.state.finished for item in finished.group.items}


class Choice(Struct, frozen=True):
    """What a person chose for an item."""

    kind: DecisionKind
    item: BatchItem
    blob: str | None = None
    """The blob that the person saw; None: what the branch has now."""
    comment: str = ""
    agent: str | None = None
    """The agent of the next run; None: the one that the plan or the batch names."""
    runs_again: bool = False
    """Whether an item that is undone runs again."""
    review: str | None = None
    """The review whose decision the person saw, empty if none stood; None: whatever stands now."""

    @property
    def reopens(self) -> bool:
        """Returns true if the item runs again."""
        return self.kind.reopens or self.runs_again


def find_reviewable(repo: Repository) -> Reviewable:
    """Returns the batch that decisions go to. Changes nothing.

    Raises:
        GitbatchError: no batch has run, or the branch does not have its checkpoints any more.
    """
    batches = all_batches(repo)
    batch = next((each for each in batches if not each.ended), batches[-1] if batches else None)
    if batch is None:
        raise GitbatchError("no batch has run here", "start one: gitbatch run")
    state = read_progress(repo, batch)
    if batch.ended:
        there = _list_checkpoints(state)
        lost = [oid for oid in _list_checkpoints(read_ended_progress(repo, batch)) if oid not in there]
        if lost:
            name, last = short(batch.record.target), lost[-1][:12]
            raise GitbatchError(
                f"branch {name} does not have the last checkpoint of batch {batch.id} any more ({last})",
                "nothing can be decided about that batch; start another: gitbatch run",
            )
    return Reviewable(batch, state)


def _list_checkpoints(state: BatchProgress) -> tuple[str, ...]:
    return tuple(oid for finished in state.finished for oid in (finished.commit, *finished.revisions))


def list_review_items(repo: Repository, found: Reviewable) -> tuple[ReviewItem, ...]:
    """Returns the items that have a checkpoint, with what was decided about each."""
    tree = repo.objects.tree_of(require_tip(repo, found.batch.record.target))
    return tuple(_describe_item(repo, found.state, item, tree) for item in found.items.values())


def _describe_item(repo: Repository, state: BatchProgress, item: BatchItem, tree: str) -> ReviewItem:
    finished = next(f for f in state.finished if f.group.number == item.group)
    failed = next((outcome for outcome in finished.failed if outcome.item == item), None)
    decided, entry = finished.standings[item.key].decided, repo.objects.find_entry(tree, item.output)
    status = REOPENED if item.key in finished.reopened else failed.status if failed else ItemStatus.SUCCEEDED
    return ReviewItem(
        item.group,
        item.output,
        item.name,
        item.slug,
        status,
        failed.reason if failed else clean_text(""),
        entry.oid if entry else None,
        decided.decision.kind if decided else None,
        decided.decision.comment if decided else "",
        decided.review if decided else "",
    )


def select_review_items(found: Reviewable, words: tuple[str, ...]) -> tuple[tuple[BatchItem, str], ...]:
    """Returns the items that words name, each with the blob that was named with it (`ITEM@BLOB`); empty: none was.

    A word is the id of an item in any case, its slug, its output, or the number of its group and its output (`2:docs/a.md`).

    Raises:
        UsageError: a word names no item that has a checkpoint, or several, or ends where its blob should follow.
    """
    return tuple(_select_item(found, word) for word in words)


def _select_item(found: Reviewable, word: str) -> tuple[BatchItem, str]:
    name, _, blob = word.rpartition("@")
    for wanted, seen in ((word, ""), (name, blob)):
        items = [
            item
            for item in found.items.values()
            if wanted
            and (
                wanted in {item.output, item.slug, f"{item.group}:{item.output}"}
                or wanted.casefold() == item.name.casefold()
            )
        ]
        if len(items) > 1:
            names = list_names(tuple(item.slug for item in items))
            raise UsageError(f"{clean_text(word)} names several items", f"name one of: {names}")
        if items and name and not blob and wanted == name:  # a variable that is not set would be no condition
            raise UsageError(f"{clean_text(word)} names no blob", f"after @ comes one, as in: {SHOW_BLOBS}")
        if items:
            return items[0], seen
    raise UsageError(f"no item with a checkpoint is called {clean_text(word)}", LIST)


def select_failed(found: Reviewable) -> tuple[BatchItem, ...]:
    """Returns the items with a checkpoint that did not succeed, without those that a review took back."""
    return tuple(outcome.item for outcome in found.state.failed if outcome.status is not ItemStatus.REJECTED)


def select_stale(repo: Repository, found: Reviewable) -> tuple[BatchItem, ...]:
    """Returns the items that were written from other versions of files than the branch has by now."""
    return tuple(found.items[stale.slug] for stale in find_stale_items(repo, found.batch, found.state))


def choose_freed(repo: Repository, found: Reviewable, retried: tuple[Choice, ...]) -> tuple[Choice, ...]:
    """Returns choices for the blocked items that lack nothing but what items write that run again: they run too."""
    items = tuple(choice.item for choice in retried)
    freed = find_freed_items(repo, found.batch, found.state, items)
    return tuple(Choice(DecisionKind.RETRY, item) for item in freed)


def choose_dependants(repo: Repository, found: Reviewable, undone: tuple[Choice, ...]) -> tuple[Choice, ...]:
    """Returns choices for the items that have read what is undone, or what those wrote: undone too, to run again."""
    recorded = read_recorded_items(repo, found.batch, found.state)
    items = find_dependants(recorded, (choice.item.key for choice in undone))
    return tuple(Choice(DecisionKind.UNDO, item, runs_again=True) for item in items)


def select_group(found: Reviewable, number: int) -> tuple[BatchItem, ...]:
    """Returns the items of the checkpoint with that number, and of its revisions, whose outputs are in history.

    Raises:
        UsageError: the batch has no such checkpoint.
    """
    record = found.batch.record
    finished = next((f for f in found.state.finished if record.position_of(f.group) == number), None)
    if finished is None:
        raise UsageError(f"batch {record.batch} has no checkpoint {number}", LIST)
    return tuple(item for item in finished.group.items if finished.standings[item.key].brought_by)


def select_last(found: Reviewable) -> tuple[BatchItem, ...]:
    """Returns the items whose outputs the last checkpoint brought, of a group or of a revision, and that are in history."""
    oid = found.state.last_checkpoint
    return tuple(
        item
        for finished in found.state.finished
        for item in finished.group.items
        if finished.standings[item.key].brought_by[-1:] == (oid,)
    )


def choose_rest(repo: Repository, found: Reviewable, chosen: frozenset[ItemKey]) -> tuple[Choice, ...]:
    """Returns an approval of each item that succeeded, that no decision stands about, and that is not chosen."""
    return tuple(
        Choice(DecisionKind.APPROVE, found.items[ItemKey(shown.slug)])
        for shown in list_review_items(repo, found)
        if shown.status == ItemStatus.SUCCEEDED and shown.decision is None and shown.slug not in chosen
    )


StartCheck: TypeAlias = Callable[[Repository, Batch, BatchProgress, tuple[ItemDecision, ...]], None]
"""Refuses decisions after which a run would not start: see `RerunChecks.require_start`."""


def decide_items(
    repo: Repository,
    found: Reviewable,
    choices: tuple[Choice, ...],
    clock: Callable[[], float],
    require_start: StartCheck | None = None,
) -> RecordedReview:
    """Records choices as one review.

    Args:
        repo: the repository, whose lock is held.
        found: the batch, as `find_reviewable` gives it under that lock.
        choices: each about another item.
        clock: seconds since the epoch.
        require_start: judges the decisions before they are recorded; None: no run follows at once.

    Raises:
        UsageError: nothing is chosen, an item is chosen twice, or a comment is too long.
        GitbatchError: an item is not up for such a decision, or its file has changed since. Nothing has changed.
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
    _require_seen(repo, found, choices)
    batch = found.batch
    resume_batch(repo, batch)
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
