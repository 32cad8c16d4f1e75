"""Updating the user's checkout after a checkpoint: unchanged files get the new version, the user's changes are kept.

The plan gets more: where the user has a version of their own, staged or on disk, the boxes that the checkpoint ticked are
ticked in it too, or the user's next commit would open them again. A box is found by its line; a box whose line has
changed is reported and left as it is.
"""

from msgspec.structs import replace

from gitbatch.batch.history.target import require_tip
from gitbatch.batch.model import Record
from gitbatch.batch.planning.project_state import read_project_state
from gitbatch.errors import GitError, PlanError
from gitbatch.fs.disk import DiskError, expected_error
from gitbatch.fs.room import disk_error_at
from gitbatch.plan.model import BoxPosition, Plan
from gitbatch.plan.parse import read_plan
from gitbatch.plan.tick import tick
from gitbatch.project.control import PlanChoice, plan_options
from gitbatch.repo.checkout.follow import Followed, index_lock, rewrite_file, update_checkout
from gitbatch.repo.refs.names import short
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text


def follow_checkout(repo: Repository, record: Record, before: str, after: str) -> Followed:
    """Updates the checkout from one commit to another, if it has the batch's target branch checked out."""
    if repo.head_branch() != record.target:
        return Followed()
    with index_lock(repo):
        return follow_locked(repo, record, before, after)


def follow_locked(repo: Repository, record: Record, before: str, after: str) -> Followed:
    """Does the same, under the lock of the index.

    A path that commits on top of `after` have changed again is left as it is.

    Raises:
        DiskError: the disk failed. The same call, later, updates the rest.
    """
    if repo.head_branch() != record.target:
        return Followed()
    try:
        return _update_paths(repo, record, before, after)
    except (OSError, GitError) as error:
        failed = (
            expected_error(error)
            if isinstance(error, OSError)
            else disk_error_at(error, repo.root, repo.git_dir)
        )
        if failed is None:
            raise
        what = f"cannot update the checkout to {short(record.target)}: {failed.message}"
        advice = f"{failed.advice}\nuntil then, do not commit here: the commit would revert the checkpoint"
        raise DiskError(what, advice) from error


def _update_paths(repo: Repository, record: Record, before: str, after: str) -> Followed:
    tip = require_tip(repo, record.target)
    trees = (repo.objects.read_commit(commit).tree for commit in (before, after, tip))
    old, new, now = trees
    changed = (change.path for change in repo.objects.diff_trees(old, new) if change.new)
    paths = tuple(p for p in changed if repo.objects.find_entry(now, p) == repo.objects.find_entry(new, p))
    followed = update_checkout(repo, old, new, paths)
    return _add_ticks(repo, record.plan, (before, after), followed) if followed.kept else followed


def _add_ticks(repo: Repository, plan: PlanChoice, commits: tuple[str, str], followed: Followed) -> Followed:
    """Ticks the boxes that the checkpoint ticked in the user's own version of the plan."""
    before, after = commits
    try:
        project_state = read_project_state(repo, after, plan)
    except PlanError:  # amended since: the plan is gone
        return followed
    path = project_state.project.task
    old = repo.objects.find_entry(repo.objects.read_commit(before).tree, path)
    if path not in followed.kept or old is None:
        return followed
    options = plan_options(project_state.project)
    names = _find_newly_ticked(read_plan(repo.objects.read_blob(old.oid), path, options), project_state.plan)
    refused: list[BoxPosition] = []

    def tick_boxes(content: bytes) -> bytes:
        done = tick(content, tuple(names), read_plan(content, path, options))
        refused.extend(done.refused)
        return done.source

    rewrite_file(repo, path, tick_boxes)
    notes = tuple(
        clean_text(
            f"the box of {names[mark]} was not ticked in your own version of {path}: its line has changed"
        )
        for mark in dict.fromkeys(refused)
    )
    return replace(followed, notes=notes)


def _find_newly_ticked(before: Plan, after: Plan) -> dict[BoxPosition, str]:
    """Returns the boxes that are open in one version of the plan and ticked in the next, by position, with their names."""
    done = {item.reference for item in after.items if item.done}
    met = {criterion.number for criterion in after.criteria if criterion.done}
    items = {i.box: i.name for i in before.items if not i.done and i.reference in done}
    return items | {c.box: f"DoD #{c.number}" for c in before.criteria if not c.done and c.number in met}
