"""The items of later groups that are done already at a pause: they started early, and are not merged yet (rule F2)."""

from gitbatch.batch.events import EarlyWork
from gitbatch.batch.history.ledger import LedgerEntries
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.spending import read_spending, sum_spending
from gitbatch.repo.repository import Repository


def find_early_work(
    repo: Repository, batch: Batch, state: BatchProgress, entries: LedgerEntries
) -> EarlyWork:
    """Returns the number of early items that are done, and what they have used."""
    keys = {key for key, outcome in state.ready.items() if outcome.commit and outcome.commit.plan_item}
    if not keys:
        return EarlyWork()
    spending = read_spending(repo, batch, state, entries)
    return EarlyWork(len(keys), sum_spending({key: spending[key] for key in keys if key in spending}))
