"""The setting `review.require-approval`: a batch continues only when a person has decided about every item."""

from gitbatch.batch.history.progress import BatchProgress, FinishedGroup, read_progress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.model import BatchItem, Record
from gitbatch.batch.planning.project_state import read_with_objects
from gitbatch.project.config import CONFIG_FILE, parse_config
from gitbatch.repo.repository import Repository
from gitbatch.repo.snapshot import TreeSnapshot


def find_unapproved(repo: Repository, batch: Batch) -> tuple[BatchItem, ...]:
    """Returns the items that a person has to decide about before the batch continues, by the branch's configuration."""
    return (
        select_undecided(batch.record, read_progress(repo, batch)) if requires_approval(repo, batch) else ()
    )


def requires_approval(repo: Repository, batch: Batch) -> bool:
    """Returns true if the configuration of a batch's branch has `review.require-approval`."""
    tip = require_tip(repo, batch.record.target)
    snapshot = TreeSnapshot(repo.objects, repo.objects.tree_of(tip))
    config = read_with_objects(repo, tip, lambda: parse_config(snapshot.read(CONFIG_FILE)))
    return config.review.require_approval


def select_undecided(record: Record, state: BatchProgress) -> tuple[BatchItem, ...]:
    """Returns the items that succeeded and that no decision stands about, up to the last group with a pause. Pure.

    When no group is left, that is the last one.
    """
    numbers = [record.position_of(finished.group) for finished in state.finished]
    pauses = [
        n for n in numbers if record.checkpoint_mode.pauses_after(n) or len(numbers) == len(record.groups)
    ]
    last = max(pauses, default=0)
    covered = (f for f in state.finished if record.position_of(f.group) <= last)
    return tuple(item for finished in covered for item in _undecided_items(finished))


def _undecided_items(finished: FinishedGroup) -> tuple[BatchItem, ...]:
    failed = {outcome.item.key for outcome in finished.failed}
    return tuple(
        item
        for item in finished.group.items
        if item.key not in failed and finished.standings[item.key].decided is None
    )
