"""Resuming a batch: reading its state from git alone, and completing at each start what an interruption left undone.

Only refs, commits and check boxes are read. The following holds wherever a run is interrupted:

1. A batch exists if and only if its record ref does, and then its base is pinned (`record.write_record`: the base ref is
   written first; a base ref without a record belongs to no batch, and the next batch that starts removes it).
2. An item is done if and only if its branch points to its one-file commit. The branch moves there once, when all objects
   below the commit are on the disk. It is deleted only when its group is done, or if it has no such commit; other
   commits on it are kept under a rescue ref. If the commit stands on an item that is not merged, the item is set aside when
   its group is to be recorded: a rescue ref keeps the commit, the branch is deleted, and it is not done (`group/set_aside.py`).
   So it is with an item that started before its group, if what it was written from is not there when the turn of its group
   comes: only its commit says what that was, so a resume judges it as the run would have (`ready.py`).
   The same happens to an item that makes a gate red; before its branch is deleted, the ledger has its last, failed attempt.
3. A group is done if and only if its orchestrator commit is reachable from the target branch, which moves to it once. So
   outputs, ticks and status are in history together or not at all.
   A person's decisions are taken from reviews on the branch; one that breaks a rule of `gitbatch verify` ends the resume.
4. The checkout is up to date if and only if `followed` points to the last orchestrator commit, of a group, a revision or
   a review. A path is updated if it still has its old content; so an update can be repeated without effect, and
   `followed` moves last.
   An output that waits for its checks is found by its ref alone (`unchecked.py`), and removed when its item is done.
   The output of an item's last failed attempt is found by its ref alone (`rescue.py`), and removed when its group is done.
5. Worktrees and the item branches of done groups are of no further use: every start removes them. The batch has ended if
   and only if its end ref exists, which is created when none of those, and no `building` ref, is left.
6. Locks: the process that holds the repository's lock is alone, and the git processes of its dead predecessor have ended;
   lock files that they left are removed before anything here begins (`repo/lock.py`, `repo/refs/lock_files.py`).

Each step depends only on the state that it finds, not on how it came about: a resume may be interrupted or repeated.
"""

from collections.abc import Set as AbstractSet

from gitbatch.batch.group.follow import follow_checkout
from gitbatch.batch.group.line_counts import add_line_counts, start_counting
from gitbatch.batch.history.progress import BatchProgress, read_progress
from gitbatch.batch.history.record import Batch, end_batch
from gitbatch.batch.history.rescue import rescue_branches, rescued_refs
from gitbatch.batch.history.spending import read_merged_outcomes
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.history.trailers import Kind, parse_trailers
from gitbatch.batch.history.worktree_folders import remove_leftovers
from gitbatch.batch.model import Checkpoint, ItemStatus
from gitbatch.batch.planning.project_state import ProjectState, read_project_state
from gitbatch.errors import GitbatchError
from gitbatch.repo.checkout.follow import Followed
from gitbatch.repo.refs.names import followed_ref, item_branches, short, unchecked_ref, unchecked_refs
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.branches import delete_branches


def _superfluous_outputs(repo: Repository, batch: Batch, state: BatchProgress) -> dict[str, str]:
    """Returns the refs of outputs that are not needed: the item is done, or a later attempt has one."""
    waiting = {outcome.item.slug for outcome in state.ready.values()}
    refs = rescued_refs(repo, batch.id, {i.slug for i in batch.record.items if i.slug not in waiting})
    refs |= repo.refs.below(unchecked_refs(batch.id))
    needed = {rescued.ref for rescued in state.rescued.values()}
    needed |= {unchecked_ref(batch.id, i.slug) for i in batch.record.items if i.key in state.unchecked}
    return {ref: oid for ref, oid in refs.items() if ref not in needed}


def resume_batch(repo: Repository, batch: Batch) -> tuple[BatchProgress, Followed]:
    """Brings refs, checkout and worktrees into the state that the commit points define; returns it. Idempotent."""
    target = batch.record.target
    repo.refs.clear_mark(target)
    # Invariants 1 to 3: the commit points. Nothing below changes them.
    state = read_progress(repo, batch)
    require_genuine_reviews(repo, batch, state)
    require_own_line(repo, batch, state)
    followed = Followed()
    last = state.last
    # Invariant 4: the checkout first, while the item branches still keep their commits.
    if last and repo.refs.read(followed_ref(batch.id)) != last:
        followed = follow_checkout(repo, batch.record, find_commit_before(repo, batch.id, last), last)
        repo.point(followed_ref(batch.id), last)
    # Invariant 5: leftovers of dead runs. A branch at its item's commit is kept until its group is done.
    remove_leftovers(repo, batch.id)
    branches = repo.refs.below(item_branches(batch.id))
    conflicted = {o.item.slug for o in state.failed if o.status is ItemStatus.CONFLICTED}
    keep = {outcome.item.slug for outcome in state.ready.values()} | conflicted
    start = len(item_branches(batch.id))
    left = {ref: oid for ref, oid in branches.items() if ref[start:] not in keep}
    rescue_branches(repo, batch.id, left, require_tip(repo, target))
    delete_branches(repo, left | _superfluous_outputs(repo, batch, state))
    return state, followed


def require_genuine_reviews(repo: Repository, batch: Batch, state: BatchProgress) -> None:
    """Refuses decisions that the branch has otherwise than gitbatch records them: by the rules of `gitbatch verify`.

    Raises:
        GitbatchError: the message names the commit and what is wrong with it.
    """
    standings = (standing for finished in state.finished for standing in finished.standings.values())
    if not any(standing.decided or standing.reviews for standing in standings):
        return
    from gitbatch.batch.history.verify.audit import audit_reviews  # noqa: PLC0415 - most runs have no review

    target = batch.record.target
    for finding in audit_reviews(repo, batch.id, batch.base, require_tip(repo, target)):
        raise GitbatchError(
            f"{finding.commit[:12]} on {short(target)} is not a review as gitbatch records it: {finding.message}",
            f"take that commit off the branch (see gitbatch verify {batch.base[:12]}..{short(target)}), then resume: "
            "gitbatch run",
        )


def require_own_line(repo: Repository, batch: Batch, state: BatchProgress) -> None:
    """Refuses reviews and checkpoints that a merge of the user's brought, from another clone of the batch for example.

    What they decided and recorded is in the tree, and does not count: it is not on the branch's line.

    Raises:
        GitbatchError: the message names the first one, and the merge.
    """
    target = batch.record.target
    for merge in state.merges:
        named = (
            "--extended-regexp",
            "--all-match",
            "--grep=^Gitbatch-(Reviewed|Checkpoint): ",
            f"--grep=^Gitbatch-Batch: {batch.id}$",
        )
        brought = repo.git.read_output("rev-list", "--reverse", *named, f"^{merge}^1", merge).split()
        for oid in brought:
            kind = parse_trailers(repo.objects.read_commit(oid).message).kind
            if kind in {Kind.REVIEW, Kind.CHECKPOINT}:
                raise GitbatchError(
                    f"{oid[:12]}, a {kind} of batch {batch.id}, came to {short(target)} by the merge {merge[:12]}, "
                    "and counts only on the line of the branch itself",
                    f"undo that merge (git reset --keep {merge[:12]}^1, if nothing is on top of it), and rebase "
                    "instead: git pull --rebase",
                )


def read_unreviewed(
    repo: Repository, batch: Batch, state: BatchProgress, seen: AbstractSet[str] = frozenset()
) -> Checkpoint | None:
    """Returns what the next review covers of the finished groups, as one checkpoint; None: nothing.

    A pause of the mode before the last group counts as reviewed: the user has resumed the batch after it. The last
    checkpoint does not, as the batch ends after its review; but those in `seen` do.
    """
    groups, mode = batch.record.groups, batch.record.checkpoint_mode
    numbers = {finished.group: groups.index(finished.group) + 1 for finished in state.finished}
    reviewed = max((n for n in numbers.values() if mode.pauses_after(n) and n < len(groups)), default=0)
    waiting = tuple(f for f in state.finished if numbers[f.group] > reviewed and f.last not in seen)
    if not waiting:
        return None
    first, last = waiting[0], waiting[-1]
    found = {
        outcome.item.key: outcome
        for each in waiting
        for outcome in (*read_merged_outcomes(repo, batch, each), *each.failed)
    }
    outcomes = tuple(found[item.key] for item in batch.record.items if item.key in found)
    checkpoint = Checkpoint(
        batch.id,
        numbers[last.group],
        len(groups),
        last.group,
        outcomes,
        criteria=(),
        before=find_commit_before(repo, batch.id, first.commit),
        commit=last.last,
        gates=tuple(gate for each in waiting for gate in each.gates),
    )
    with start_counting(repo) as counter:
        return add_line_counts(checkpoint, counter)


def finish_batch(repo: Repository, batch: Batch) -> ProjectState:
    """Ends a batch. Its end is marked last: the next start completes what an interruption left undone."""
    remove_leftovers(repo, batch.id)
    tip = require_tip(repo, batch.record.target)
    end_batch(repo, batch.id, tip)
    return read_project_state(repo, tip, batch.record.plan)


def find_commit_before(repo: Repository, batch: str, last: str) -> str:
    """Returns the target's commit before a checkpoint: below the orchestrator commit and the merges under it."""
    objects = repo.objects
    commit = objects.read_commit(objects.read_commit(last).parents[0])
    while (ours := parse_trailers(commit.message)).kind is Kind.MERGE and ours.batch == batch:
        commit = objects.read_commit(commit.parents[0])
    return commit.oid
