"""Updating the user's checkout after a checkpoint: unchanged files get the new version, the user's changes are kept.

The plan gets more: where the user has a version of their own, staged or on disk, the boxes that the checkpoint ticked, or
that a review opened again, are changed in it too, or the user's next commit would change them back. A box is found by its
line; a box whose line has changed is reported and left as it is.
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
from gitbatch.plan.tick import tick, untick
from gitbatch.project.control import PlanChoice, plan_options
from gitbatch.repo.checkout.follow import Followed, index_lock, rewrite_file, update_checkout
from gitbatch.repo.refs.names import short
from gitbatch.repo.repository import Repository
from gitbatch.text import CleanText, clean_text


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
    changed = (change.path for change in repo.objects.diff_trees(old, new))
    paths = tuple(p for p in changed if repo.objects.find_entry(now, p) == repo.objects.find_entry(new, p))
    followed = update_checkout(repo, old, new, paths)
    return _add_ticks(repo, record.plan, (before, after), followed) if followed.kept else followed


def _add_ticks(repo: Repository, plan: PlanChoice, commits: tuple[str, str], followed: Followed) -> Followed:
    """Ticks and opens the boxes that a commit of ours ticked and opened in the user's own version of the plan."""
    before, after = commits
    try:
        project_state = read_project_state(repo, after, plan)
    except PlanError:  # amended since: the plan is gone
        return followed
    path = project_state.project.plan_path
    old = repo.objects.find_entry(repo.objects.read_commit(before).tree, path)
    if path not in followed.kept or old is None:
        return followed
    options = plan_options(project_state.project)
    plan_before = read_plan(repo.objects.read_blob(old.oid), path, options)
    done, opened = (
        _find_changed(plan_before, project_state.plan, is_done=is_done) for is_done in (True, False)
    )
    refused: list[CleanText] = []

    def change_boxes(content: bytes) -> bytes:
        ticked = tick(content, tuple(done), read_plan(content, path, options))
        both = untick(ticked.source, tuple(opened), read_plan(ticked.source, path, options))
        refused.extend(_describe_refused(done[mark], path, "ticked") for mark in ticked.refused)
        refused.extend(_describe_refused(opened[mark], path, "opened") for mark in both.refused)
        return both.source

    rewrite_file(repo, path, change_boxes)
    return replace(followed, notes=tuple(dict.fromkeys(refused)))


def _describe_refused(name: str, path: str, verb: str) -> CleanText:
    return clean_text(f"the box of {name} was not {verb} in your own version of {path}: its line has changed")


def _find_changed(before: Plan, after: Plan, *, is_done: bool) -> dict[BoxPosition, str]:
    """Returns the boxes that are as wanted in one version of the plan and were not in the last, with their names."""
    items = {item.reference for item in after.items if item.done is is_done}
    met = {criterion.number for criterion in after.criteria if criterion.done is is_done}
    return {i.box: i.name for i in before.items if i.done is not is_done and i.reference in items} | {
        c.box: f"DoD #{c.number}" for c in before.criteria if c.done is not is_done and c.number in met
    }
