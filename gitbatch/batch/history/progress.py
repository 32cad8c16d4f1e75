"""Where a batch is, read from git alone: refs, commits and check boxes."""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.history.item_commits import read_item_commit
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.rescue import Rescued, read_rescued
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.history.trailers import Kind, parse_trailers
from gitbatch.batch.model import BatchGroup, BatchItem, ItemStatus, Outcome
from gitbatch.repo.objects.codec import Commit
from gitbatch.repo.refs.names import item_branch, item_branches
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text

_LOOKED_AT = 100
"""Commits of an item's branch that are looked at."""


class FinishedGroup(Struct, frozen=True):
    """A group whose checkpoint is in history."""

    group: BatchGroup
    commit: str
    failed: tuple[Outcome, ...]


class BatchProgress(Struct, frozen=True):
    """Where a batch is."""

    finished: tuple[FinishedGroup, ...]
    """In the order of the batch."""
    ready: Mapping[str, Outcome]
    """By key: items that are done and wait for their group's checkpoint."""
    rescued: Mapping[str, Rescued] = {}
    """By key: what failed attempts had written, of items that are not done."""

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The outcomes of recorded groups that are no success."""
        return tuple(outcome for recorded in self.finished for outcome in recorded.failed)

    @property
    def succeeded(self) -> int:
        """How many items are in the history of the target branch."""
        return sum(len(recorded.group.items) for recorded in self.finished) - len(self.failed)

    @property
    def missing(self) -> frozenset[str]:
        """The outputs that recorded groups should have brought and did not."""
        return frozenset(outcome.item.key for outcome in self.failed)

    def is_done(self, item: BatchItem) -> bool:
        """Whether an item has its commit: merged, in conflict, or waiting for its group."""
        failed = {outcome.item: outcome.status for outcome in self.failed}
        if item in failed:
            return failed[item] is ItemStatus.CONFLICTED
        return item.key in self.ready or any(item in recorded.group.items for recorded in self.finished)

    def is_finished(self, group: BatchGroup) -> bool:
        """Whether a group's checkpoint is in history."""
        return any(recorded.group == group for recorded in self.finished)


def read_progress(repo: Repository, batch: Batch) -> BatchProgress:
    """Where a batch is. Changes nothing."""
    tip = require_tip(repo, batch.record.target)
    since = ("rev-list", "--first-parent", "--reverse", f"^{batch.base}", tip)
    listed = repo.git.read_output(*since).split() if tip != batch.base else []
    found = {
        r.group: r for oid in listed if (r := _read_finished_group(batch, repo.objects.read_commit(oid)))
    }
    recorded = tuple(found[group] for group in batch.record.groups if group in found)
    state = BatchProgress(recorded, _read_ready_items(repo, batch, recorded))
    open_items = tuple(item for item in batch.record.items if not state.is_done(item))
    return replace(state, rescued=read_rescued(repo, batch.id, open_items))


def _read_finished_group(batch: Batch, commit: Commit) -> FinishedGroup | None:
    trailers = parse_trailers(commit.message)
    if trailers.kind is not Kind.CHECKPOINT or trailers.batch != batch.id:
        return None
    group = next((group for group in batch.record.groups if group.number == trailers.group), None)
    if group is None:
        return None
    items = {item.key: item for item in group.items}
    failed = tuple(
        Outcome(items[said.key], said.status, reason=clean_text(said.reason))
        for said in trailers.failed
        if said.key in items
    )
    return FinishedGroup(group, commit.oid, failed)


def _read_ready_items(
    repo: Repository, batch: Batch, recorded: tuple[FinishedGroup, ...]
) -> dict[str, Outcome]:
    branches = repo.refs.below(item_branches(batch.id))
    over = {r.group for r in recorded}
    waiting = (item for group in batch.record.groups if group not in over for item in group.items)
    found = ((item, branches.get(item_branch(batch.id, item.slug))) for item in waiting)
    outcomes = (_finished_below(repo, batch, item, oid) for item, oid in found if oid)
    return {outcome.item.key: outcome for outcome in outcomes if outcome}


def _finished_below(repo: Repository, batch: Batch, item: BatchItem, tip: str) -> Outcome | None:
    """What an item's branch has finished; the user may have committed upon it."""
    done = read_item_commit(repo, batch.id, item, tip)
    if done:
        return done
    options = ("--first-parent", f"--max-count={_LOOKED_AT}", "--ignore-missing")  # pruned: it is not done
    listed = repo.git.run("rev-list", *options, tip, f"^{batch.base}", check=False).stdout.decode()
    return next(filter(None, (read_item_commit(repo, batch.id, item, oid) for oid in listed.split())), None)
