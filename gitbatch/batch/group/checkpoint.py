"""The second commit point: a group's merges, ticks, status and decisions appear together or not at all.

All commits are built as objects on top of the target branch's tip; then the branch moves once, by compare-and-swap. If
it moved meanwhile, they are built again on top of the new tip; no agent runs again for that.

Gates run before, on a tree that is built in the same way (`record.py`), while nothing is locked: the branch, the plan and
CLAUDE.md may change meanwhile. So all is checked and built again here, and only a tree that the gates have seen is recorded.
"""

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.group.follow import follow_checkout, follow_locked
from gitbatch.batch.group.line_counts import add_line_counts, start_counting
from gitbatch.batch.group.merge import merge_items
from gitbatch.batch.group.rebase import rebase_items
from gitbatch.batch.group.shared_files import consolidate
from gitbatch.batch.history.bases import BaseReader
from gitbatch.batch.history.messages import render_checkpoint_message
from gitbatch.batch.history.rescue import rescued_refs
from gitbatch.batch.history.target import require_not_checked_out_elsewhere, require_tip
from gitbatch.batch.history.unchecked import find_unchecked_refs
from gitbatch.batch.item.scheduled import CommitContext
from gitbatch.batch.model import BatchGroup, Checkpoint, Outcome, Record
from gitbatch.batch.planning.project_state import ProjectState, read_project_state
from gitbatch.batch.planning.required_objects import require_shared_files
from gitbatch.batch.verdicts import GateVerdict
from gitbatch.errors import BusyError, GitbatchError, GitError
from gitbatch.plan.model import BoxPosition, ItemKey
from gitbatch.repo.checkout.branch import require_movable
from gitbatch.repo.checkout.follow import index_lock
from gitbatch.repo.fingerprint import require_untouched
from gitbatch.repo.objects.reader import MissingObjectError
from gitbatch.repo.refs.names import building_ref, followed_ref, item_branch, short
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.branches import delete_branches

TRIES = 20
"""The number of times that a checkpoint is built before the run gives up."""


class GroupOutcomes(Struct, frozen=True):
    """A group whose items all have an outcome."""

    group: BatchGroup
    outcomes: tuple[Outcome, ...]
    boxes: Mapping[ItemKey, BoxPosition]
    """The positions of its items' boxes in the plan that they ran by, by key."""
    base: str
    """The target branch's commit when the group began. The branch may gain commits after it, but not lose it."""


class Unsound(Struct, frozen=True):
    """A group that cannot be recorded: items stand on others that are not merged."""

    outcomes: tuple[Outcome, ...]
    """Of all items of the group, with the conflicts that the merge has found."""
    keys: frozenset[ItemKey]
    """The items that have to run again."""


class BuiltGroup(Struct, frozen=True):
    """A group whose checkpoint exists as objects."""

    finished: GroupOutcomes
    """With the commits that the items have now: some may have been written again on another base."""
    checkpoint: Checkpoint
    tree: str
    """Of the checkpoint."""
    tree_before: str
    """Of the commit that it is built on."""


class GatedTree(Struct, frozen=True):
    """What the gates of a group said of a tree."""

    tree: str
    verdicts: tuple[GateVerdict, ...]


class NewTree(Struct, frozen=True):
    """A group that was not recorded: its tree is another one than the gates have seen."""


def checkpoint_group(
    repo: Repository,
    commits: CommitContext,
    finished: GroupOutcomes,
    now: float,
    gated: GatedTree | None = None,
) -> Checkpoint | Unsound | NewTree:
    """Records a group on the target branch, and updates the checkout; if an item is unsound, nothing is changed.

    Args:
        repo: the repository.
        commits: the values that commits need.
        finished: the group.
        now: seconds since the epoch, for the decisions log.
        gated: what the gates said. No other tree is recorded. None: the group has no gates.

    Raises:
        GitbatchError: the branch has lost commits, or CLAUDE.md names another phase by now.
        BusyError: the branch keeps moving, or the checkout's index is locked by another git process.
        GitbatchError: the user is in the middle of a merge or rebase of the branch, or has it in another checkout.
        TamperedError: a control file of the repository was changed.
    """
    record = commits.batch.record
    target = record.target
    require_target_free(repo, target)
    with start_counting(repo) as counter:
        counter.begin(finished.outcomes)  # git has them when the group is recorded
        if repo.head_branch() == target:
            repo.objects.start_copying()  # the checkout will need them
            with index_lock(repo):
                checkpoint = _move_target(repo, commits, finished, now, gated)
                if not isinstance(checkpoint, Checkpoint):
                    return checkpoint
                followed = follow_locked(repo, record, checkpoint.before, checkpoint.commit)
        else:
            checkpoint = _move_target(repo, commits, finished, now, gated)
            if not isinstance(checkpoint, Checkpoint):
                return checkpoint
            followed = follow_checkout(repo, record, checkpoint.before, checkpoint.commit)
        repo.point(followed_ref(commits.batch.id), checkpoint.commit)
        checkpoint = replace(checkpoint, kept=followed.kept, notes=(*checkpoint.notes, *followed.notes))
        return add_line_counts(checkpoint, counter)


def build_group(
    repo: Repository, commits: CommitContext, finished: GroupOutcomes, now: float
) -> BuiltGroup | Unsound:
    """Builds the checkpoint of a group as objects, for its gates. No ref of the user moves. Arguments and errors: see above."""
    target = commits.batch.record.target
    require_target_free(repo, target)
    built = _build_safely(repo, replace(commits, signs=False), finished, now, ())
    if isinstance(built, BuiltGroup):
        _require_forward(repo, target, finished.base, built.checkpoint.before)
    return built


def require_target_free(repo: Repository, target: str) -> None:
    """Refuses to move a branch that is in the middle of a merge or rebase, or checked out elsewhere.

    Raises:
        GitbatchError: it is.
    """
    require_movable(repo, target)
    if repo.head_branch() != target:
        require_not_checked_out_elsewhere(repo, target)


def _move_target(
    repo: Repository, commits: CommitContext, finished: GroupOutcomes, now: float, gated: GatedTree | None
) -> Checkpoint | Unsound | NewTree:
    """Builds the commits of a checkpoint, then moves the target branch once: the second commit point."""
    target = commits.batch.record.target
    for _ in range(TRIES):
        built = _build_safely(repo, commits, finished, now, gated.verdicts if gated else ())
        if isinstance(built, Unsound):
            return built
        if gated and built.tree != gated.tree:
            return NewTree()
        checkpoint, finished = built.checkpoint, built.finished
        require_untouched(repo, commits.fingerprint)
        _require_forward(repo, target, finished.base, checkpoint.before)
        reason = f"gitbatch: checkpoint {checkpoint.number}/{checkpoint.of}"
        if repo.commit_point(target, checkpoint.commit, checkpoint.before, reason):
            return checkpoint
    raise keeps_moving(target)


def keeps_moving(target: str) -> BusyError:
    """Returns the error for a branch that other processes move each time before a group is recorded."""
    return BusyError(
        f"branch {short(target)} keeps moving",
        "retry when no other process updates it: gitbatch run (finished items are kept)",
    )


def _build_safely(
    repo: Repository,
    commits: CommitContext,
    finished: GroupOutcomes,
    now: float,
    verdicts: tuple[GateVerdict, ...],
) -> BuiltGroup | Unsound:
    """Builds a checkpoint, and again if objects vanish meanwhile.

    Raises:
        GitError: they vanish each time.
    """
    for left in reversed(range(TRIES)):
        try:
            tip = require_tip(repo, commits.batch.record.target)
            reader = BaseReader(repo.objects)
            outcomes = rebase_items(repo, commits, finished.group, finished.outcomes, tip, reader)
            finished = replace(finished, outcomes=outcomes)
            checkpoint = _build_checkpoint(repo, commits, finished, now, verdicts, reader)
            if isinstance(checkpoint, Unsound):
                return checkpoint
            # From here on a `git gc --prune=now` of another process keeps the new objects; did one run before?
            repo.point(building_ref(commits.batch.id), checkpoint.commit)
            _require_objects(repo, checkpoint)
            tree, before = map(repo.objects.tree_of, (checkpoint.commit, checkpoint.before))
            return BuiltGroup(finished, checkpoint, tree, before)
        except GitError:  # as when objects are pruned before a ref has them
            if not left:
                raise
    raise AssertionError  # the last try returns or raises


def _require_forward(repo: Repository, target: str, base: str, tip: str) -> None:
    """Refuses a branch that was moved back or elsewhere: the commits that it has lost would count as done.

    Raises:
        GitbatchError: the branch has lost commits.
    """
    if tip != base and repo.git.run("merge-base", "--is-ancestor", base, tip, check=False).status:
        raise GitbatchError(
            f"branch {short(target)} was moved while the group ran: it has lost commit {base[:12]}",
            f"the branch was not changed. To continue with its present commits: gitbatch run; "
            f"to restore it first: git update-ref {target} {base[:12]}",
        )


def _require_objects(repo: Repository, checkpoint: Checkpoint) -> None:
    """Checks that all objects of a checkpoint exist.

    Raises:
        MissingObjectError: one is gone.
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


def _build_checkpoint(
    repo: Repository,
    commits: CommitContext,
    finished: GroupOutcomes,
    now: float,
    verdicts: tuple[GateVerdict, ...],
    reader: BaseReader,
) -> Checkpoint | Unsound:
    record, group = commits.batch.record, finished.group
    tip = require_tip(repo, record.target)
    merged = merge_items(repo, commits, group, finished.outcomes, tip, reader)
    if merged.unsound:
        return Unsound(merged.outcomes, merged.unsound)
    project_state = read_project_state(repo, tip, record.plan)
    require_phase(record, project_state)
    require_shared_files(repo, project_state)
    shared = consolidate(record, group, merged.outcomes, finished.boxes, project_state, now)
    blobs = {path: repo.objects.write_blob(content) for path, content in shared.files}
    tree = repo.objects.write_tree(merged.tree, blobs)
    message = render_checkpoint_message(
        record, group, merged.outcomes, shared.criteria, shared.notes, verdicts
    )
    write = repo.objects.write_commit if commits.signs else repo.objects.write_unsigned
    return Checkpoint(
        batch=record.batch,
        number=record.position_of(group),
        of=len(record.groups),
        group=group,
        outcomes=merged.outcomes,
        criteria=shared.criteria,
        before=tip,
        commit=write(tree, (merged.commit,), message, commits.user, commits.user),
        notes=shared.notes,
        gates=verdicts,
    )


def require_phase(record: Record, project_state: ProjectState) -> None:
    """Refuses to write into the files of another phase (rules O5, K4).

    Raises:
        GitbatchError: CLAUDE.md has named another phase since the group began.
    """
    named = project_state.project.phase.name
    if named != record.phase:
        raise GitbatchError(
            f"the active phase has changed while the group ran: it is now {named or 'not named'}, and this batch "
            f"belongs to {record.phase or 'a project without phases'}",
            "finished items are kept. To record them, set Active Scope in CLAUDE.md back and resume: gitbatch run; "
            "or end the batch: gitbatch abort",
        )


def drop_branches(repo: Repository, batch: str, checkpoint: Checkpoint) -> tuple[str, ...]:
    """Deletes the branches of the items that are merged; returns those that are checked out, which are kept.

    It also deletes the ref that held the checkpoint while it was built, since the target branch has it now, and the
    kept outputs of failed attempts at items that are done, and the refs of outputs that were checked.
    """
    done = {outcome.item.slug for outcome in checkpoint.outcomes if outcome.commit}
    branches = {building_ref(batch): checkpoint.commit} | {
        item_branch(batch, outcome.item.slug): outcome.commit
        for outcome in checkpoint.outcomes
        if outcome.succeeded and outcome.commit
    }
    there = {ref: oid for ref, oid in branches.items() if repo.refs.read(ref) == oid}
    checked = find_unchecked_refs(repo, batch, (outcome.item.slug for outcome in checkpoint.outcomes))
    return delete_branches(repo, there | rescued_refs(repo, batch, done) | checked)
