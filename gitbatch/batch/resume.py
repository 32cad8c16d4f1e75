"""Where a batch is, read from git alone; and making good, at each start, what an interruption left undone.

- An item is done if and only if its branch is at its one-file commit.
- A group is done if and only if its orchestrator commit can be reached from the target branch.

Everything else (checkout, worktrees, branches) follows from those and is simply done again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gitbatch.batch.attempt import Run
from gitbatch.batch.checkpoint import follow_checkout, require_tip
from gitbatch.batch.merge import item_blob
from gitbatch.batch.messages import parse_item_message, parse_trailers
from gitbatch.batch.model import BatchGroup, ItemStatus, Outcome
from gitbatch.batch.record import Batch, remove_leftovers
from gitbatch.repo.checkout import Followed
from gitbatch.repo.objects import Commit
from gitbatch.repo.refs import item_branch, item_branches
from gitbatch.repo.repository import Repository


@dataclass(frozen=True, slots=True)
class RecordedGroup:
    """A group whose checkpoint is in history."""

    group: BatchGroup
    commit: str
    failed: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class State:
    """Where a batch is."""

    recorded: tuple[RecordedGroup, ...]
    """In the order of the batch."""
    ready: Mapping[str, Outcome]
    """By key: items that are done and wait for their group's checkpoint."""

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The outcomes of recorded groups that are no success."""
        return tuple(outcome for recorded in self.recorded for outcome in recorded.failed)

    @property
    def succeeded(self) -> int:
        """How many items are in the history of the target branch."""
        return sum(len(recorded.group.items) for recorded in self.recorded) - len(self.failed)

    @property
    def missing(self) -> frozenset[str]:
        """The outputs that recorded groups should have brought and did not."""
        return frozenset(outcome.item.key for outcome in self.failed)

    def is_recorded(self, group: BatchGroup) -> bool:
        """Whether a group's checkpoint is in history."""
        return any(recorded.group == group for recorded in self.recorded)


def read_state(repo: Repository, batch: Batch) -> State:
    """Where a batch is. Changes nothing."""
    tip = require_tip(repo, batch.record.target)
    listed = repo.git.text("rev-list", "--first-parent", "--reverse", f"^{batch.base}", tip).split()
    found = {r.group: r for oid in listed if (r := _recorded(batch, repo.objects.commit(oid)))}
    recorded = tuple(found[group] for group in batch.record.groups if group in found)
    return State(recorded, _ready(repo, batch, recorded))


def _recorded(batch: Batch, commit: Commit) -> RecordedGroup | None:
    trailers = parse_trailers(commit.message)
    if trailers.first("Batch") != batch.id or not trailers.first("Checkpoint"):
        return None
    number = trailers.first("Group").partition(" ")[0]
    group = next((group for group in batch.record.groups if str(group.number) == number), None)
    if group is None:
        return None
    items = {item.key: item for item in group.items}
    failures = (line.split(": ", 2) for line in trailers.every("Failed"))
    failed = tuple(
        Outcome(items[key], ItemStatus(status), reason=reason)
        for key, status, reason in failures
        if key in items
    )
    return RecordedGroup(group, commit.oid, failed)


def _ready(repo: Repository, batch: Batch, recorded: tuple[RecordedGroup, ...]) -> dict[str, Outcome]:
    branches = repo.refs.below(item_branches(batch.id))
    over = {r.group for r in recorded}
    ready: dict[str, Outcome] = {}
    for group in batch.record.groups:
        for item in group.items if group not in over else ():
            oid = branches.get(item_branch(batch.id, item.slug))
            commit = repo.objects.commit(oid) if oid else None
            if commit is None:
                continue
            trailers, reply = parse_item_message(commit.message)
            ours = trailers.first("Batch") == batch.id and trailers.first("Item") == item.key
            # The wall once more: what is on the branch must be a one-file commit, whoever moved it there.
            if ours and item_blob(repo.objects, commit.oid, item.key):
                spent = float(trailers.first("Seconds") or 0)
                ready[item.key] = Outcome(item, ItemStatus.SUCCEEDED, reply, commit.oid, seconds=spent)
    return ready


def resume(run: Run) -> tuple[State, Followed]:
    """Bring everything into the state that the commit points say, and return that state. Idempotent."""
    state = read_state(run.repo, run.batch)
    followed = Followed()
    if state.recorded:
        last = state.recorded[-1].commit
        before = _before(run, last)
        followed = follow_checkout(run.repo, run.batch.record.target, before, last)
    remove_leftovers(run.repo, run.batch, run.workshop)
    branches = run.repo.refs.below(item_branches(run.batch.id))
    conflicted = {o.item.slug for o in state.failed if o.status is ItemStatus.CONFLICTED}
    keep = {outcome.item.slug for outcome in state.ready.values()} | conflicted
    run.repo.refs.delete({ref: oid for ref, oid in branches.items() if ref.rpartition("/")[2] not in keep})
    return state, followed


def _before(run: Run, last: str) -> str:
    """The target's commit before a checkpoint: below the orchestrator commit and the merges under it."""
    commit = run.repo.objects.commit(run.repo.objects.commit(last).parents[0])
    while (trailers := parse_trailers(commit.message)).first("Batch") == run.batch.id and not trailers.first(
        "Checkpoint"
    ):
        commit = run.repo.objects.commit(commit.parents[0])
    return commit.oid
