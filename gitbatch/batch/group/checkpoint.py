"""The second commit point: a group's merges, ticks, status and decisions appear together or not at all.

Everything is built as objects upon the target branch's tip; then the branch moves once, by compare-and-swap. If it
moved meanwhile, everything is built again upon the new tip; no agent runs again for that.
"""

from collections.abc import Mapping

from msgspec.structs import replace

from gitbatch.batch.group.follow import follow_checkout, follow_locked
from gitbatch.batch.group.merge import merge_items
from gitbatch.batch.group.rebase import rebase_items
from gitbatch.batch.group.shared_files import consolidate
from gitbatch.batch.history.messages import render_checkpoint_message
from gitbatch.batch.history.rescue import rescued_refs
from gitbatch.batch.history.target import require_not_checked_out_elsewhere, require_tip
from gitbatch.batch.item.run import Run
from gitbatch.batch.model import BatchGroup, Checkpoint, Outcome
from gitbatch.batch.planning.project_state import read_project_state
from gitbatch.batch.planning.required_objects import require_shared_files
from gitbatch.errors import BusyError, GitbatchError, GitError
from gitbatch.plan.model import BoxPosition
from gitbatch.repo.checkout.branch import require_movable
from gitbatch.repo.checkout.follow import index_lock
from gitbatch.repo.fingerprint import require_untouched
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.refs.names import building_ref, followed_ref, item_branch, short
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.branches import delete_branches

_TRIES = 20


def record_group(
    run: Run, group: BatchGroup, outcomes: tuple[Outcome, ...], marks: Mapping[str, BoxPosition], began: str
) -> Checkpoint:
    """Record a group on the target branch, and let the checkout follow.

    Args:
        run: the tools.
        group: the group.
        outcomes: of its items.
        marks: where the plan had the boxes of its items, by key.
        began: where the branch was when the group began: it may have got more commits, but not lost any.

    Raises:
        GitbatchError: the branch has lost commits.
        BusyError: the branch would not hold still, or the checkout's index is locked by another git.
        GitbatchError: the user is in the middle of a merge or rebase of the branch, or has it in another checkout.
        TamperedError: a control file of the repository was changed.
    """
    repo, target = run.repo, run.batch.record.target
    require_movable(repo, target)
    if repo.head_branch() == target:
        with index_lock(repo):
            checkpoint = _move(run, group, outcomes, marks, began)
            followed = follow_locked(repo, target, checkpoint.before, checkpoint.commit)
    else:
        require_not_checked_out_elsewhere(repo, target)
        checkpoint = _move(run, group, outcomes, marks, began)
        followed = follow_checkout(repo, target, checkpoint.before, checkpoint.commit)
    repo.point(followed_ref(run.batch.id), checkpoint.commit)
    return replace(checkpoint, kept=followed.kept, notes=(*checkpoint.notes, *followed.notes))


def _move(
    run: Run, group: BatchGroup, outcomes: tuple[Outcome, ...], marks: Mapping[str, BoxPosition], began: str
) -> Checkpoint:
    """The second commit point: build, then move the branch once."""
    repo, target, held = run.repo, run.batch.record.target, building_ref(run.batch.id)
    problem: GitbatchError = BusyError(
        f"branch {short(target)} is moved all the time by someone else",
        "run gitbatch run again when it is quiet; what is done is kept",
    )
    for _ in range(_TRIES):
        try:
            outcomes = rebase_items(run, _signed(run, outcomes), require_tip(repo, target))
            checkpoint = _build(run, group, outcomes, marks)
            # From here on a `git gc --prune=now` somewhere leaves the new objects alone; was it there before?
            repo.point(held, checkpoint.commit)
            _require_objects(repo, checkpoint)
        except GitError as error:  # as when objects are pruned before a ref has them
            problem = error
            continue
        require_untouched(repo, run.fingerprint)
        _require_forward(repo, target, began, checkpoint.before)
        reason = f"gitbatch: checkpoint {checkpoint.number}/{checkpoint.of}"
        if repo.commit_point(target, checkpoint.commit, checkpoint.before, reason):
            return checkpoint
    raise problem


def _signed(run: Run, outcomes: tuple[Outcome, ...]) -> tuple[Outcome, ...]:
    """The outcomes with signed commits, if the user signs: those that could not be signed when they were made are now.

    Raises:
        SigningError: one still can't be. Nothing is lost: the item's branch keeps the commit without a signature.
    """
    repo, found = run.repo, []
    for outcome in outcomes:
        old = outcome.commit if outcome.succeeded else None
        new = repo.objects.sign_commit(old) if old else ""
        if old and new != old:
            branch = item_branch(run.batch.id, outcome.item.slug)
            repo.commit_point(branch, new, old, "gitbatch: signed")
            outcome = replace(outcome, commit=old.with_signature(new))  # noqa: PLW2901
        found.append(outcome)
    return tuple(found)


def _require_forward(repo: Repository, target: str, began: str, tip: str) -> None:
    """Refuse to build upon a branch that was moved back or elsewhere: what it has lost would look done to us.

    Raises:
        GitbatchError: the branch has lost commits.
    """
    if tip != began and repo.git.run("merge-base", "--is-ancestor", began, tip, check=False).status:
        raise GitbatchError(
            f"branch {short(target)} was moved while the group ran: it has lost commit {began[:12]}",
            f"it was left where it is. If it was you, gitbatch run goes on with what the branch has now; "
            f"else put it back first: git update-ref {target} {began[:12]}",
        )


def _require_objects(repo: Repository, checkpoint: Checkpoint) -> None:
    """See that everything a checkpoint is made of is there.

    Raises:
        MissingObjectError: something of it is gone.
    """
    commit = repo.objects.read_commit(checkpoint.commit)
    old = repo.objects.read_commit(checkpoint.before).tree
    made = [outcome.commit for outcome in checkpoint.outcomes if outcome.succeeded and outcome.commit]
    wanted = {change.new.oid for change in repo.objects.diff_trees(old, commit.tree) if change.new}
    gone = repo.objects.find_missing(wanted.union(*((item, *item.trees) for item in made)))
    if gone:
        raise MissingObjectError(gone[0])
    while commit.oid != checkpoint.before:
        commit = repo.objects.read_commit(commit.parents[0])


def _build(
    run: Run, group: BatchGroup, outcomes: tuple[Outcome, ...], marks: Mapping[str, BoxPosition]
) -> Checkpoint:
    repo, record = run.repo, run.batch.record
    tip = require_tip(repo, record.target)
    merged = merge_items(run, group, outcomes, tip)
    project_state = read_project_state(repo, tip)
    require_shared_files(repo, project_state)
    shared = consolidate(record, group, merged.outcomes, marks, project_state, run.clock())
    blobs = {path: repo.objects.write_blob(content) for path, content in shared.files}
    tree = repo.objects.write_tree(merged.tree, blobs)
    message = render_checkpoint_message(record, group, merged.outcomes, shared.criteria, shared.notes)
    who = run.committer()
    return Checkpoint(
        batch=record.batch,
        number=record.groups.index(group) + 1,
        of=len(record.groups),
        group=group,
        outcomes=merged.outcomes,
        criteria=shared.criteria,
        before=tip,
        commit=repo.objects.write_commit(tree, (merged.commit,), message, who, who),
        notes=shared.notes,
    )


def drop_branches(run: Run, checkpoint: Checkpoint) -> tuple[str, ...]:
    """Delete the branches of the items that are merged; returns those that somebody has checked out and that stay.

    The ref that held the checkpoint while it was built goes too: the branch has it now. So does what failed attempts
    at items that are done had written.
    """
    repo, batch = run.repo, run.batch.id
    done = {outcome.item.slug for outcome in checkpoint.outcomes if outcome.commit}
    branches = {building_ref(batch): checkpoint.commit} | {
        item_branch(batch, outcome.item.slug): outcome.commit
        for outcome in checkpoint.outcomes
        if outcome.succeeded and outcome.commit
    }
    there = {ref: oid for ref, oid in branches.items() if repo.refs.read(ref) == oid}
    return delete_branches(repo, there | rescued_refs(repo, batch, done))
