"""The items of later groups that are done or run already at a pause: they started early, and are not merged yet (rule F2)."""

from collections.abc import Iterator

from gitbatch.batch.events import EarlyWork
from gitbatch.batch.history.activity import ItemActivity, ItemPhase, read_activity
from gitbatch.batch.history.ledger import LedgerEntries
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.spending import read_spending, sum_spending
from gitbatch.batch.history.trailers import EARLY_FORMAT
from gitbatch.limits.usage import Spent, Usage
from gitbatch.repo.holder import read_holder
from gitbatch.repo.repository import Repository


def find_early_work(
    repo: Repository, batch: Batch, state: BatchProgress, entries: LedgerEntries
) -> EarlyWork:
    """Returns the number of early items that are done, and of those that run, with what they have used."""
    if batch.record.format < EARLY_FORMAT:
        return EarlyWork()
    done = {key for key, outcome in state.ready.items() if outcome.commit and outcome.commit.plan_item}
    running = tuple(_list_running(repo, batch, state))
    spending = read_spending(repo, batch, state, entries) if done else {}
    spent = sum_spending({key: spending[key] for key in done if key in spending})
    charged = (Spent(Usage(cost=item.charged), known=1) for item in running if item.charged is not None)
    return EarlyWork(len(done), len(running), sum(charged, spent))


def _list_running(repo: Repository, batch: Batch, state: BatchProgress) -> Iterator[ItemActivity]:
    """Yields what the early items do that the process which holds the lock runs."""
    holder = read_holder(repo.own_dir)
    items = read_activity(repo.own_dir, batch.id, holder.since).items if holder else {}
    for key, item in items.items():
        if item.is_early and item.phase is not ItemPhase.FINISHED and key not in state.ready:
            yield item
