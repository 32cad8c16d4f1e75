"""The items of a plan that did not succeed in its last batch."""

from gitbatch.batch.history.progress import read_ended_progress
from gitbatch.batch.history.record import all_batches
from gitbatch.batch.planning.project_state import ProjectState
from gitbatch.plan.model import ItemReference
from gitbatch.repo.repository import Repository


def find_failed_items(repo: Repository, state: ProjectState) -> frozenset[ItemReference]:
    """Returns the items of the plan whose last outcome in the plan's last batch was no success. That batch has ended.

    What a person took back is not among them: it has not failed.
    """
    batches = [batch for batch in all_batches(repo) if batch.record.plan_path == state.project.plan_path]
    if not batches:
        return frozenset()
    found = state.find_items(batches[-1].record)
    outcomes = read_ended_progress(repo, batches[-1]).failed
    failed = {outcome.item.key for outcome in outcomes if outcome.status.is_failure}
    return frozenset(item.reference for key, (_, item) in found.items() if key in failed)
