"""The batch that decisions go to, and its items that can be decided about. Changes nothing.

It is the unfinished batch, else the last one, as long as the branch still has its checkpoints.
"""

from msgspec import Struct

from gitbatch.batch.history.progress import BatchProgress, read_ended_progress, read_progress
from gitbatch.batch.history.record import Batch, all_batches
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.model import BatchItem, ItemStatus
from gitbatch.batch.review.item import REOPENED, ReviewItem
from gitbatch.errors import GitbatchError
from gitbatch.plan.model import ItemKey
from gitbatch.repo.refs.names import short
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text


class Reviewable(Struct, frozen=True):
    """The batch that decisions go to."""

    batch: Batch
    state: BatchProgress

    @property
    def items(self) -> dict[ItemKey, BatchItem]:
        """The items that have a checkpoint, by key, in the order of the plan."""
        return {item.key: item for finished in self.state.finished for item in finished.group.items}


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
