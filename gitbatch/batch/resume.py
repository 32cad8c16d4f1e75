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

from gitbatch.batch.group.follow import follow_checkout
from gitbatch.batch.history.progress import BatchProgress, read_progress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.rescue import rescue_branches, rescued_refs
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.history.trailers import Kind, parse_trailers
from gitbatch.batch.history.worktree_folders import remove_leftovers
from gitbatch.batch.item.run import Run
from gitbatch.batch.model import ItemStatus
from gitbatch.repo.checkout.follow import Followed
from gitbatch.repo.refs.names import followed_ref, item_branches
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.branches import delete_branches


def _superfluous(repo: Repository, batch: Batch, state: BatchProgress) -> dict[str, str]:
    """Returns the refs of what failed attempts had written that nothing needs: their item is merged, or a later one has more."""
    waiting = {outcome.item.slug for outcome in state.ready.values()}
    refs = rescued_refs(repo, batch.id, {i.slug for i in batch.record.items if i.slug not in waiting})
    needed = {rescued.ref for rescued in state.rescued.values()}
    return {ref: oid for ref, oid in refs.items() if ref not in needed}


def resume(run: Run) -> tuple[BatchProgress, Followed]:
    """Bring everything into the state that the commit points say, and return that state. Idempotent."""
    repo, target = run.repo, run.batch.record.target
    repo.refs.clear_mark(target)
    # Invariants 1 to 3: these decide, and nothing below changes them.
    state = read_progress(repo, run.batch)
    followed = Followed()
    last = state.finished[-1].commit if state.finished else None
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
    rescue_branches(repo, run.batch.id, left, require_tip(repo, target))
    delete_branches(repo, left | _superfluous(repo, run.batch, state))
    return state, followed


def _before(run: Run, last: str) -> str:
    """The target's commit before a checkpoint: below the orchestrator commit and the merges under it."""
    objects = run.repo.objects
    commit = objects.read_commit(objects.read_commit(last).parents[0])
    while (ours := parse_trailers(commit.message)).kind is Kind.MERGE and ours.batch == run.batch.id:
        commit = objects.read_commit(commit.parents[0])
    return commit.oid
