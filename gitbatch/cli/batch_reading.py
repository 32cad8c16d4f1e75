"""Shared by the commands that show batches: which one is meant, and its state with what a running process adds."""

import shlex
from contextlib import suppress
from pathlib import Path

from gitbatch.batch.group.put_back import find_word
from gitbatch.batch.group.shared_files import read_criteria
from gitbatch.batch.history.activity import read_activity
from gitbatch.batch.history.batches import find_batch, read_any_progress
from gitbatch.batch.history.item_details import find_item
from gitbatch.batch.history.ledger import read_ledger
from gitbatch.batch.history.record import BATCH_ID, Batch, all_batches
from gitbatch.batch.history.rescued_files import map_rescued
from gitbatch.batch.history.spending import read_spending
from gitbatch.batch.model import BatchItem
from gitbatch.batch.planning.rebuilt import rebuild_batches
from gitbatch.cli.common import HERE
from gitbatch.errors import UsageError
from gitbatch.repo.holder import Holder, read_holder, read_waiting
from gitbatch.repo.repository import Repository
from gitbatch.view.batch_state import BatchState, add_activity, batch_state


def names_batch(word: str | None) -> bool:
    """Returns true if a word has the form of the id of a batch."""
    return bool(word and BATCH_ID.fullmatch(word))


def list_runners(repo: Repository) -> tuple[Holder, ...]:
    """Returns the processes that run batches of the repository: the one that has the lock, then those that wait at a pause."""
    holder, waiting = read_holder(repo.own_dir), read_waiting(repo.own_dir)
    holder = holder or read_holder(repo.own_dir)  # it may have taken the lock again between the two
    return ((holder,) if holder and holder.verb == "run" else ()) + waiting


def read_runner(repo: Repository) -> Holder | None:
    """Returns the process that runs a batch of the repository, or is about to start one; None if none does."""
    return next(iter(list_runners(repo)), None)


def runs_batch(holder: Holder | None, batch: Batch) -> bool:
    """Returns true if a process runs a batch."""
    return holder is not None and not batch.ended and holder.plan == batch.record.plan_path


def order_batches(batches: tuple[Batch, ...]) -> tuple[Batch, ...]:
    """Returns batches in the order in which they are meant: unfinished ones first, then the last one first."""
    return tuple(sorted(batches, key=lambda batch: (not batch.ended, batch.id), reverse=True))


def select_current(batches: tuple[Batch, ...]) -> Batch | None:
    """Returns the unfinished batch of some batches, else the last one; None if there are none."""
    return next(iter(order_batches(batches)), None)


def choose_item(repo: Repository, wanted: str, batch: str | None) -> tuple[Batch, BatchItem]:
    """Returns the item that a word names, and its batch: that with an id, else the first one that has such an item.

    Raises:
        UsageError: the batch or the item is unknown, or the word names several items.
    """
    batches = all_batches(repo)
    if batch:
        return find_item((find_any_batch(repo, batches, batch),), wanted)
    try:
        return find_item(order_batches(batches), wanted)
    except UsageError:
        rebuilt = order_batches(_rebuild_others(repo, batches))
        with suppress(UsageError):
            return find_item(rebuilt, wanted)
        raise


def find_any_batch(repo: Repository, batches: tuple[Batch, ...], wanted: str) -> Batch:
    """Returns the batch with an id, also one whose record was removed.

    Raises:
        UsageError: no batch has this id.
    """
    if all(batch.id != wanted for batch in batches):
        batches = (*batches, *_rebuild_others(repo, batches))
    return find_batch(batches, wanted)


def list_batches(repo: Repository) -> tuple[Batch, ...]:
    """Returns all batches, the oldest first: those with a record, and those whose record was removed."""
    batches = all_batches(repo)
    return tuple(sorted((*batches, *_rebuild_others(repo, batches)), key=lambda batch: batch.id))


def _rebuild_others(repo: Repository, batches: tuple[Batch, ...]) -> tuple[Batch, ...]:
    return rebuild_batches(repo, (batch.id for batch in batches))


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


def name_folder(directory: Path) -> str:
    """Returns the option that names a folder again, with a space before it; empty for the current one."""
    return "" if directory == HERE else f" -C {shlex.quote(str(directory))}"


def name_show(directory: Path, item: BatchItem) -> str:
    """Returns the command that shows an item."""
    return f"gitbatch show{name_folder(directory)} {shlex.quote(find_word(item))}"
