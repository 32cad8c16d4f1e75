"""The turns of a run: items that a review made run again come before the next group (rule F7).

They run on the tip after the review, where the last version of their outputs is in place, and come in by a checkpoint of
their own, which has the number of their group and a number among its revisions.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from msgspec.structs import replace

from gitbatch.batch.history.given_outputs import OutputsReader
from gitbatch.batch.history.ledger import Ledger
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.spending import read_versions
from gitbatch.batch.history.standings import ItemStanding, StandingDecision
from gitbatch.batch.history.trailers import parse_trailers
from gitbatch.batch.item.scheduled import Reopening
from gitbatch.batch.model import BatchGroup, Outcome, Record
from gitbatch.plan.model import ItemKey
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text


def find_turn(record: Record, state: BatchProgress, done: AbstractSet[tuple[int, int]]) -> BatchGroup | None:
    """Returns what runs next: items of a group that run again, else a group that has no checkpoint; None: nothing.

    Args:
        record: the batch.
        state: its progress, as of its start or of its last revision.
        done: the numbers of the groups, and of their revisions, that this run is done with.
    """
    for finished in state.finished:
        revision = len(finished.revisions) + 1
        reopened = finished.reopened
        if reopened and (finished.group.number, revision) not in done:
            items = tuple(item for item in finished.group.items if item.key in reopened)
            return replace(finished.group, items=items, revision=revision)
    left = (g for g in record.groups if not state.is_finished(g) and (g.number, 0) not in done)
    return next(left, None)


def prepare_revision(
    repo: Repository, batch: Batch, state: BatchProgress, ledger: Ledger, group: BatchGroup
) -> Mapping[ItemKey, Reopening]:
    """Returns why the items of a revision run again, by key, and notes it in the ledger; empty for a group's first run."""
    if not group.revision:
        return {}
    finished = next(each for each in state.finished if each.group.number == group.number)
    last = {outcome.item.key: outcome for outcome in read_versions(repo, batch, finished)}
    reopened = finished.reopened
    for key, decided in reopened.items():
        ledger.mark_review(key, decided.review)
    outputs = OutputsReader(repo.objects)
    return {
        key: _find_reopening(outputs, batch, finished.standings[key], decided, last.get(key))
        for key, decided in reopened.items()
    }


def _find_reopening(
    outputs: OutputsReader,
    batch: Batch,
    standing: ItemStanding,
    decided: StandingDecision,
    last: Outcome | None,
) -> Reopening:
    decision, is_there = decided.decision, bool(standing.brought_by)
    made = outputs.objects.read_commit(last.commit) if is_there and last and last.commit else None
    read = outputs.read_context(made, parse_trailers(made.message), batch.record.plan_path) if made else {}
    return Reopening(
        decision.kind,
        decided.review,
        standing.instruction,
        last.reply.summary if last and last.reply else clean_text(""),
        agent=decision.agent,
        is_there=is_there,
        read=tuple(read.items()),
    )
