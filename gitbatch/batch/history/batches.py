"""All batches of a repository in brief, and the choice of one of them by its id."""

from msgspec import Struct

from gitbatch.batch.history.ledger import read_ledger
from gitbatch.batch.history.progress import BatchProgress, read_ended_progress, read_progress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.spending import read_spending, sum_spending
from gitbatch.errors import UsageError
from gitbatch.limits.usage import Spent
from gitbatch.plan.spelling import nearest
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text

_EDITS = 2
HOW_TO_LIST = "list the batches: gitbatch batches"


class BatchSummary(Struct, frozen=True):
    """A batch in brief."""

    batch: str
    plan: str
    """The path of the plan that it runs."""
    target: str
    """The branch that checkpoints go to, a full ref name."""
    started: int
    """Seconds since the epoch."""
    ended: bool
    groups: int
    groups_done: int
    items: int
    succeeded: int
    """Items that are in the history of the target branch."""
    failed: int
    """Items of finished groups that did not succeed."""
    spent: Spent
    """The usage of all items, over all starts."""
    rebuilt: bool = False
    """Whether git has no record of it: it is known by the commits that it left in the history of HEAD."""


def read_any_progress(repo: Repository, batch: Batch) -> BatchProgress:
    """Returns the progress of a batch, whether or not it has ended."""
    return (read_ended_progress if batch.ended else read_progress)(repo, batch)


def summarize_batch(repo: Repository, batch: Batch) -> BatchSummary:
    """Returns a batch in brief, from git alone."""
    state = read_any_progress(repo, batch)
    spending = read_spending(repo, batch, state, read_ledger(repo, batch.id))
    record = batch.record
    return BatchSummary(
        batch=batch.id,
        plan=record.plan_path,
        target=record.target,
        started=record.started,
        ended=batch.ended,
        groups=len(record.groups),
        groups_done=len(state.finished),
        items=len(record.items),
        succeeded=state.succeeded,
        failed=sum(outcome.status.is_failure for outcome in state.failed),
        spent=sum_spending(spending),
        rebuilt=bool(batch.last),
    )


def find_batch(batches: tuple[Batch, ...], wanted: str) -> Batch:
    """Returns the batch with an id.

    Raises:
        UsageError: no batch has this id.
    """
    found = next((batch for batch in batches if batch.id == wanted), None)
    if found is None:
        meant = nearest(wanted, (batch.id for batch in batches), _EDITS)
        advice = f"did you mean {meant}?" if meant else HOW_TO_LIST
        raise UsageError(f"no batch {clean_text(wanted)} is known here", advice)
    return found
