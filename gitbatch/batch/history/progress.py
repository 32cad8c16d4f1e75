"""The progress of a batch, derived from git alone: refs, commits and check boxes."""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.history.item_commits import read_item_commit
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.rescue import Rescued, read_rescued
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.history.trailers import Kind, parse_trailers
from gitbatch.batch.history.unchecked import Unchecked, find_unchecked
from gitbatch.batch.model import BatchGroup, BatchItem, ItemStatus, Outcome
from gitbatch.batch.verdicts import GateVerdict
from gitbatch.plan.model import ItemKey
from gitbatch.repo.log import read_first_parents
from gitbatch.repo.refs.names import end_ref, item_branch, item_branches
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text

_LOOKED_AT = 100
"""The most commits of an item's branch that are read."""


class FinishedGroup(Struct, frozen=True):
    """A group whose checkpoint is in history."""

    group: BatchGroup
    commit: str
    failed: tuple[Outcome, ...]
    gates: tuple[GateVerdict, ...] = ()


class BatchProgress(Struct, frozen=True):
    """The progress of a batch."""

    finished: tuple[FinishedGroup, ...]
    """In the order of the batch."""
    ready: Mapping[ItemKey, Outcome]
    """By key: items that are done and wait for the checkpoint of their group."""
    rescued: Mapping[ItemKey, Rescued] = {}
    """By key: the kept outputs of failed attempts, for items that are not done."""
    unchecked: Mapping[ItemKey, Unchecked] = {}
    """By key: the outputs of items that are not done, which are harvested and wait for their checks."""

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """Returns the outcomes in finished groups of items that did not succeed."""
        return tuple(outcome for group in self.finished for outcome in group.failed)

    @property
    def succeeded(self) -> int:
        """Returns the number of items that are in the history of the target branch."""
        return sum(len(finished.group.items) for finished in self.finished) - len(self.failed)

    @property
    def failed_keys(self) -> frozenset[ItemKey]:
        """Returns the keys of the items in finished groups that did not succeed."""
        return frozenset(outcome.item.key for outcome in self.failed)

    def is_done(self, item: BatchItem) -> bool:
        """Whether an item has its commit: merged, in conflict, or waiting for its group."""
        failed = {outcome.item: outcome.status for outcome in self.failed}
        if item in failed:
            return failed[item] is ItemStatus.CONFLICTED
        return item.key in self.ready or any(item in finished.group.items for finished in self.finished)

    def is_finished(self, group: BatchGroup) -> bool:
        """Whether a group's checkpoint is in history."""
        return any(finished.group == group for finished in self.finished)


def read_progress(repo: Repository, batch: Batch) -> BatchProgress:
    """Returns the progress of a batch. Changes nothing."""
    tip = require_tip(repo, batch.record.target)
    since = ("rev-list", "--first-parent", "--reverse", f"^{batch.base}", tip)
    listed = repo.git.read_output(*since).split() if tip != batch.base else []
    return _derive_progress(repo, batch, ((oid, repo.objects.read_commit(oid).message) for oid in listed))


def read_ended_progress(repo: Repository, batch: Batch) -> BatchProgress:
    """Returns how far a batch came that has ended: from the commits up to its end, wherever its target is now."""
    end = repo.refs.read(end_ref(batch.id))
    log = read_first_parents(repo.root, batch.base, end) if end else ()
    return _derive_progress(repo, batch, ((entry.oid, entry.message) for entry in log))


def _derive_progress(repo: Repository, batch: Batch, commits: Iterable[tuple[str, str]]) -> BatchProgress:
    """Returns the progress that commits, each an id and a message, and the item branches show."""
    found = {
        group.group: group for oid, message in commits if (group := _read_finished_group(batch, oid, message))
    }
    finished = tuple(found[group] for group in batch.record.groups if group in found)
    state = BatchProgress(finished, _read_ready_items(repo, batch, finished))
    open_items = tuple(item for item in batch.record.items if not state.is_done(item))
    return replace(
        state,
        rescued=read_rescued(repo, batch.id, open_items),
        unchecked=find_unchecked(repo, batch.id, open_items),
    )


def _read_finished_group(batch: Batch, oid: str, message: str) -> FinishedGroup | None:
    trailers = parse_trailers(message)
    if trailers.kind is not Kind.CHECKPOINT or trailers.batch != batch.id:
        return None
    group = next((group for group in batch.record.groups if group.number == trailers.group), None)
    if group is None:
        return None
    items = {item.output: item for item in group.items}
    failed = tuple(
        Outcome(items[said.output], said.status, reason=clean_text(said.reason))
        for said in trailers.failed
        if said.output in items
    )
    return FinishedGroup(group, oid, failed, trailers.gates)


def _read_ready_items(
    repo: Repository, batch: Batch, finished: tuple[FinishedGroup, ...]
) -> dict[ItemKey, Outcome]:
    branches = repo.refs.below(item_branches(batch.id))
    done = {r.group for r in finished}
    waiting = (item for group in batch.record.groups if group not in done for item in group.items)
    found = ((item, branches.get(item_branch(batch.id, item.slug))) for item in waiting)
    outcomes = (_finished_below(repo, batch, item, oid) for item, oid in found if oid)
    return {outcome.item.key: outcome for outcome in outcomes if outcome}


def _finished_below(repo: Repository, batch: Batch, item: BatchItem, tip: str) -> Outcome | None:
    """Returns the outcome that an item's branch holds; the user may have added commits to the branch."""
    done = read_item_commit(repo, batch.id, item, tip)
    if done:
        return done
    options = ("--first-parent", f"--max-count={_LOOKED_AT}", "--ignore-missing")  # pruned: it is not done
    listed = repo.git.run("rev-list", *options, tip, f"^{batch.base}", check=False).stdout.decode()
    return next(filter(None, (read_item_commit(repo, batch.id, item, oid) for oid in listed.split())), None)
