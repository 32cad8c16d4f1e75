"""Blocked items that can start again, because a review makes what they lack run again."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from msgspec import Struct

from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.model import BatchItem, ItemStatus
from gitbatch.batch.planning.missing_inputs import InputFinder, find_blocking_input
from gitbatch.batch.planning.project_state import read_project_state
from gitbatch.repo.repository import Repository


class BlockedItem(Struct, frozen=True):
    """An item that did not start, with the files that it lacks, by path."""

    item: BatchItem
    lacked: frozenset[str]
    needed: frozenset[str]
    """Those without which it does not start."""

    def is_freed_by(self, written: AbstractSet[str]) -> bool:
        """Whether it can start when some files are written, and could not without them."""
        return self.needed <= written and (bool(self.lacked & written) or self.item.output in written)


def find_blocked_items(repo: Repository, batch: Batch, state: BatchProgress) -> tuple[BlockedItem, ...]:
    """Returns the blocked items of recorded groups, in the order of the plan."""
    blocked = tuple(outcome.item for outcome in state.failed if outcome.status is ItemStatus.BLOCKED)
    if not blocked:
        return ()
    project_state = read_project_state(repo, require_tip(repo, batch.record.target), batch.record.plan)
    planned, project = project_state.find_items(batch.record), project_state.project
    failed = {outcome.item.output: outcome for outcome in state.failed}
    chosen = frozenset(item.output for item in batch.record.items)
    inputs = InputFinder(project_state.plan, project, project_state.snapshot, failed, chosen)
    table, mode = project.config.batch, batch.record.checkpoint_mode
    found = []
    for item in blocked:
        if planned_item := planned.get(item.key):
            missing = inputs.find_missing(planned_item[1], planned_item[0])
            needed = (each.path for each in missing if find_blocking_input((each,), table, mode))
            found.append(BlockedItem(item, frozenset(each.path for each in missing), frozenset(needed)))
    return tuple(found)


def select_freed(blocked: Iterable[BlockedItem], again: Iterable[BatchItem]) -> tuple[BatchItem, ...]:
    """Returns the blocked items that lack nothing but what some items write, transitively. Pure.

    Args:
        blocked: in the order of the plan: what an item lacks comes before it.
        again: the items that run again.
    """
    known = {item.key: item.output for item in again}
    written, freed = set(known.values()), list[BatchItem]()
    for each in blocked:
        if each.item.key not in known and each.is_freed_by(written):
            freed.append(each.item)
            written.add(each.item.output)
    return tuple(freed)


def find_freed_items(
    repo: Repository, batch: Batch, state: BatchProgress, again: tuple[BatchItem, ...]
) -> tuple[BatchItem, ...]:
    """Returns the blocked items of recorded groups that lack nothing but what some items write, transitively.

    Args:
        repo: the repository.
        batch: the batch.
        state: its progress.
        again: the items that run again now, besides those that an earlier review made run again.
    """
    earlier = (item for item in batch.record.items if item.key in state.reopened)
    return select_freed(find_blocked_items(repo, batch, state), (*again, *earlier))
