"""The attempts that ran when gitbatch itself was killed: they may have cost something, and did not come to report it.

An item's branch begins with its attempt and is removed when that ends without a commit. So the branches that a dead run has
left, of items that are not done, are those of its running attempts, unless they have a commit of the item: one in conflict,
which a review has made run again. `resume_batch` removes them.
"""

from gitbatch.batch.history.item_commits import read_item_commit
from gitbatch.batch.history.ledger import LedgerEntries
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.model import FailedAttempt, ItemStatus
from gitbatch.repo.refs.names import item_branch, item_branches
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text


def find_killed_attempts(
    repo: Repository, batch: Batch, state: BatchProgress, entries: LedgerEntries
) -> tuple[FailedAttempt, ...]:
    """Returns the attempts that were killed together with the last run, as entries of the ledger.

    An attempt whose output is held for its checks had ended: its usage is known.
    """
    left = repo.refs.below(item_branches(batch.id))
    recorded = {item.key for finished in state.finished for item in finished.group.items}
    done = (recorded - state.reopened.keys()) | state.ready.keys()
    done |= {key for key, held in state.unchecked.items() if not held.is_ended_by(entries.of_item(key))}
    reason = clean_text("interrupted: gitbatch was killed")
    branches = ((i, left.get(item_branch(batch.id, i.slug))) for i in batch.record.items if i.key not in done)
    return tuple(
        FailedAttempt(item.key, "", 0, ItemStatus.FAILED, None, reason)
        for item, tip in branches
        if tip and read_item_commit(repo, batch.id, item, tip) is None
    )
