"""Shared by the commands that show batches: which one is meant, and its state with what a running process adds."""

from gitbatch.batch.group.shared_files import read_criteria
from gitbatch.batch.history.activity import read_activity
from gitbatch.batch.history.batches import read_any_progress
from gitbatch.batch.history.ledger import read_ledger
from gitbatch.batch.history.record import BATCH_ID, Batch
from gitbatch.batch.history.rescued_files import map_rescued
from gitbatch.batch.history.spending import read_spending
from gitbatch.repo.holder import Holder, read_holder
from gitbatch.repo.repository import Repository
from gitbatch.view.batch_state import BatchState, add_activity, batch_state


def names_batch(word: str | None) -> bool:
    """Returns true if a word has the form of the id of a batch."""
    return bool(word and BATCH_ID.fullmatch(word))


def read_runner(repo: Repository) -> Holder | None:
    """Returns the process that runs a batch of the repository, or is about to start one; None if none does."""
    holder = read_holder(repo.own_dir)
    return holder if holder and holder.verb == "run" else None


def runs_batch(holder: Holder | None, batch: Batch) -> bool:
    """Returns true if a process runs a batch."""
    return holder is not None and not batch.ended and holder.plan == batch.record.task


def select_current(batches: tuple[Batch, ...]) -> Batch | None:
    """Returns the unfinished batch of some batches, else the last one; None if there are none."""
    return next((batch for batch in batches if not batch.ended), batches[-1] if batches else None)


def read_batch_state(repo: Repository, batch: Batch, holder: Holder | None) -> BatchState:
    """Returns the state of a batch. `holder`: the process that holds the lock, read before."""
    state = read_any_progress(repo, batch)
    spending = read_spending(repo, batch, state, read_ledger(repo, batch.id))
    shown = batch_state(
        batch, state, read_criteria(repo, batch.record), spending, map_rescued(repo, batch.id)
    )
    if holder and runs_batch(holder, batch):
        return add_activity(shown, holder, read_activity(repo.own_dir, batch.id, holder.since))
    return shown
