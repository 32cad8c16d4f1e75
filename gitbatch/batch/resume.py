"""Where a batch is, read from git alone; and making good, at each start, what an interruption left undone.

Nothing is read but refs, commits and check boxes; what holds between them, whenever a run is cut:

1. A batch exists if and only if its record ref does, and then its base is pinned (`record.write_record`: the base
   comes first; a base without a record is nobody's, and is removed by the next batch that starts).
2. An item is done if and only if its branch has its one-file commit. The branch moves there once, when everything
   below the commit is on the disk. It is deleted only when its group is done, or if it has no such commit; what
   somebody else has committed there is kept under a rescue ref.
3. A group is done if and only if its orchestrator commit can be reached from the target branch, which moves to it
   once. So outputs, ticks and status are in history together or not at all.
4. The checkout has followed if and only if `followed` is at the last group's orchestrator commit. A path that still
   is as it was before follows; so to follow again does nothing, and `followed` moves last.
   What its last failed attempt had written is found by its ref alone (`rescue.py`), and goes when its group is done.
5. Worktrees and the item branches of done groups are of no use to anyone: they go at every start. The batch is over if
   and only if its end ref exists, which is made when nothing of that, and no `building`, is left.
6. Locks: whoever holds the repository's is alone, its dead predecessor's gits included; what those have left locked
   is removed before anything here begins (`repo/lock.py`, `repo/refs/lock_files.py`).

Each step asks only for the state that it finds, not for how it came about: to be cut in the middle of a resume, or to
resume twice, is nothing special.
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.group.follow import follow_checkout, require_tip
from gitbatch.batch.group.merge import finished
from gitbatch.batch.history.abort import delete_branches, rescue
from gitbatch.batch.history.record import Batch, remove_leftovers
from gitbatch.batch.history.trailers import Kind, parse_trailers
from gitbatch.batch.item.rescue import Rescued, read_rescued, rescued_refs
from gitbatch.batch.item.run import Run
from gitbatch.batch.model import BatchGroup, BatchItem, ItemStatus, Outcome
from gitbatch.repo.checkout.follow import Followed
from gitbatch.repo.objects.commit import Commit
from gitbatch.repo.refs.store import followed_ref, item_branch, item_branches
from gitbatch.repo.repository import Repository
from gitbatch.text import plain

_LOOKED_AT = 100
"""Commits of an item's branch that are looked at."""


class RecordedGroup(Struct, frozen=True):
    """A group whose checkpoint is in history."""

    group: BatchGroup
    commit: str
    failed: tuple[Outcome, ...]


class State(Struct, frozen=True):
    """Where a batch is."""

    recorded: tuple[RecordedGroup, ...]
    """In the order of the batch."""
    ready: Mapping[str, Outcome]
    """By key: items that are done and wait for their group's checkpoint."""
    rescued: Mapping[str, Rescued] = {}
    """By key: what failed attempts had written, of items that are not done."""

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

    def is_done(self, item: BatchItem) -> bool:
        """Whether an item has its commit: merged, in conflict, or waiting for its group."""
        failed = {outcome.item: outcome.status for outcome in self.failed}
        if item in failed:
            return failed[item] is ItemStatus.CONFLICTED
        return item.key in self.ready or any(item in recorded.group.items for recorded in self.recorded)

    def is_recorded(self, group: BatchGroup) -> bool:
        """Whether a group's checkpoint is in history."""
        return any(recorded.group == group for recorded in self.recorded)


def read_state(repo: Repository, batch: Batch) -> State:
    """Where a batch is. Changes nothing."""
    tip = require_tip(repo, batch.record.target)
    since = ("rev-list", "--first-parent", "--reverse", f"^{batch.base}", tip)
    listed = repo.git.text(*since).split() if tip != batch.base else []
    found = {r.group: r for oid in listed if (r := _recorded(batch, repo.objects.commit(oid)))}
    recorded = tuple(found[group] for group in batch.record.groups if group in found)
    state = State(recorded, _ready(repo, batch, recorded))
    open_items = tuple(item for item in batch.record.items if not state.is_done(item))
    return replace(state, rescued=read_rescued(repo, batch.id, open_items))


def _superfluous(repo: Repository, batch: Batch, state: State) -> dict[str, str]:
    """Returns the refs of what failed attempts had written that nothing needs: their item is merged, or a later one has more."""
    waiting = {outcome.item.slug for outcome in state.ready.values()}
    refs = rescued_refs(repo, batch.id, {i.slug for i in batch.record.items if i.slug not in waiting})
    needed = {rescued.ref for rescued in state.rescued.values()}
    return {ref: oid for ref, oid in refs.items() if ref not in needed}


def _recorded(batch: Batch, commit: Commit) -> RecordedGroup | None:
    trailers = parse_trailers(commit.message)
    if trailers.kind is not Kind.CHECKPOINT or trailers.batch != batch.id:
        return None
    group = next((group for group in batch.record.groups if group.number == trailers.group), None)
    if group is None:
        return None
    items = {item.key: item for item in group.items}
    failed = tuple(
        Outcome(items[said.key], said.status, reason=plain(said.reason))
        for said in trailers.failed
        if said.key in items
    )
    return RecordedGroup(group, commit.oid, failed)


def _ready(repo: Repository, batch: Batch, recorded: tuple[RecordedGroup, ...]) -> dict[str, Outcome]:
    branches = repo.refs.below(item_branches(batch.id))
    over = {r.group for r in recorded}
    waiting = (item for group in batch.record.groups if group not in over for item in group.items)
    found = ((item, branches.get(item_branch(batch.id, item.slug))) for item in waiting)
    outcomes = (_finished_below(repo, batch, item, oid) for item, oid in found if oid)
    return {outcome.item.key: outcome for outcome in outcomes if outcome}


def _finished_below(repo: Repository, batch: Batch, item: BatchItem, tip: str) -> Outcome | None:
    """What an item's branch has finished; the user may have committed upon it."""
    done = finished(repo, batch.id, item, tip)
    if done:
        return done
    options = ("--first-parent", f"--max-count={_LOOKED_AT}", "--ignore-missing")  # pruned: it is not done
    listed = repo.git.run("rev-list", *options, tip, f"^{batch.base}", check=False).stdout.decode()
    return next(filter(None, (finished(repo, batch.id, item, oid) for oid in listed.split())), None)


def resume(run: Run) -> tuple[State, Followed]:
    """Bring everything into the state that the commit points say, and return that state. Idempotent."""
    repo, target = run.repo, run.batch.record.target
    repo.refs.settle(target)
    # Invariants 1 to 3: these decide, and nothing below changes them.
    state = read_state(repo, run.batch)
    followed = Followed()
    last = state.recorded[-1].commit if state.recorded else None
    # Invariant 4: the checkout first, while the item branches still keep what they keep.
    if last and repo.refs.read(followed_ref(run.batch.id)) != last:
        followed = follow_checkout(repo, target, _before(run, last), last)
        repo.point(followed_ref(run.batch.id), last)
    # Invariant 5: what is left of dead runs. A branch that is at its item's commit stays until its group is done.
    remove_leftovers(repo, run.batch.id)
    branches = repo.refs.below(item_branches(run.batch.id))
    conflicted = {o.item.slug for o in state.failed if o.status is ItemStatus.CONFLICTED}
    keep = {outcome.item.slug for outcome in state.ready.values()} | conflicted
    start = len(item_branches(run.batch.id))
    left = {ref: oid for ref, oid in branches.items() if ref[start:] not in keep}
    rescue(repo, run.batch.id, left, require_tip(repo, target))
    delete_branches(repo, left | _superfluous(repo, run.batch, state))
    return state, followed


def _before(run: Run, last: str) -> str:
    """The target's commit before a checkpoint: below the orchestrator commit and the merges under it."""
    objects = run.repo.objects
    commit = objects.commit(objects.commit(last).parents[0])
    while (ours := parse_trailers(commit.message)).kind is Kind.MERGE and ours.batch == run.batch.id:
        commit = objects.commit(commit.parents[0])
    return commit.oid
