"""The second commit point: a group's merges, ticks, status and decisions appear together or not at all.

Everything is built as objects upon the target branch's tip; then the branch moves once, by compare-and-swap. If it
moved meanwhile, everything is built again upon the new tip; no agent runs again for that.
"""

from collections.abc import Mapping

from gitbatch.batch.attempt import Run
from gitbatch.batch.consolidate import consolidate
from gitbatch.batch.merge import merge_items
from gitbatch.batch.messages import checkpoint_message
from gitbatch.batch.model import BatchGroup, Checkpoint, Outcome
from gitbatch.batch.scene import read_scene
from gitbatch.errors import BusyError, GitbatchError
from gitbatch.plan.model import Mark
from gitbatch.repo.checkout import Followed, follow
from gitbatch.repo.fingerprint import require_untouched
from gitbatch.repo.refs import item_branch, short
from gitbatch.repo.repository import Repository

_TRIES = 20


def record_group(
    run: Run, group: BatchGroup, outcomes: tuple[Outcome, ...], marks: Mapping[str, Mark]
) -> Checkpoint:
    """Record a group on the target branch.

    Raises:
        BusyError: the branch would not hold still.
        TamperedError: a control file of the repository was changed.
    """
    for _ in range(_TRIES):
        checkpoint = _build(run, group, outcomes, marks)
        require_untouched(run.repo, run.fingerprint)
        reason = f"gitbatch: checkpoint {checkpoint.number}/{checkpoint.of}"
        if run.repo.refs.swap(run.batch.record.target, checkpoint.commit, checkpoint.before, reason):
            return checkpoint
    target = short(run.batch.record.target)
    raise BusyError(
        f"branch {target} is moved all the time by someone else", "run gitbatch run again when it is quiet"
    )


def _build(
    run: Run, group: BatchGroup, outcomes: tuple[Outcome, ...], marks: Mapping[str, Mark]
) -> Checkpoint:
    repo, record = run.repo, run.batch.record
    tip = require_tip(repo, record.target)
    merged = merge_items(run, group, outcomes, tip)
    scene = read_scene(repo, tip)
    shared = consolidate(record, group, merged.outcomes, marks, scene, run.clock())
    blobs = {path: repo.objects.write_blob(content) for path, content in shared.files}
    tree = repo.objects.write_tree(merged.tree, blobs)
    message = checkpoint_message(record, group, merged.outcomes, shared.criteria, shared.notes)
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


def require_tip(repo: Repository, target: str) -> str:
    """The commit of the target branch.

    Raises:
        GitbatchError: the branch is gone.
    """
    tip = repo.refs.read(target)
    if tip is None:
        name = short(target)
        advice = (
            f"make it again where it was (git branch {name} COMMIT), or end the batch with gitbatch abort"
        )
        raise GitbatchError(f"branch {name}, which the batch runs on, is gone", advice)
    return tip


def follow_checkout(repo: Repository, target: str, before: str, after: str) -> Followed:
    """Bring what a checkpoint changed, from one commit to another, into the checkout, if it has the target branch.

    What commits on top of `after` have changed again is not this checkpoint's to follow.
    """
    if repo.head_branch() != target:
        return Followed()
    trees = (repo.objects.commit(commit).tree for commit in (before, after, require_tip(repo, target)))
    old, new, tip = trees
    changed = (change.path for change in repo.objects.changes(old, new) if change.new)
    return follow(
        repo, old, new, tuple(p for p in changed if repo.objects.entry(tip, p) == repo.objects.entry(new, p))
    )


def drop_branches(run: Run, checkpoint: Checkpoint) -> None:
    """Delete the branches of the items that are merged; those in conflict stay."""
    branches = {
        item_branch(run.batch.id, outcome.item.slug): outcome.commit
        for outcome in checkpoint.outcomes
        if outcome.succeeded and outcome.commit
    }
    run.repo.refs.delete({ref: oid for ref, oid in branches.items() if run.repo.refs.read(ref) == oid})
