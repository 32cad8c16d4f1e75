"""The items of a group that an earlier start of the batch has finished: which are taken, and which have to run again.

An item runs again if it stands on an item that is not merged, if a review has since changed what it read, or if it started
before its group and what it was written from has changed at all: its output would be recorded as written from a file that
history does not have.
"""

from collections.abc import Iterator, Mapping
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.group.checkpoint import Unsound
from gitbatch.batch.group.merge import find_unsound
from gitbatch.batch.group.scheduled_items import GroupStart, find_unwritten_files
from gitbatch.batch.group.set_aside import set_aside
from gitbatch.batch.history.bases import BaseReader, find_unmerged
from gitbatch.batch.history.ledger import Ledger
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.history.trailers import parse_trailers
from gitbatch.batch.model import BatchGroup, Outcome
from gitbatch.batch.planning.project_state import read_project_state
from gitbatch.plan.model import ItemKey
from gitbatch.repo.repository import Repository
from gitbatch.text import CleanText, clean_text, list_names

_REASON = clean_text("a review has changed what it read before it was recorded")


class ReadyItems(Struct, frozen=True):
    """The finished items of a group."""

    outcomes: Mapping[ItemKey, Outcome]
    """By key: those that are taken."""
    notices: tuple[CleanText, ...] = ()
    """What is said about those that run again."""


def take_ready(
    repo: Repository,
    ledger: Ledger,
    state: BatchProgress,
    group: BatchGroup,
    failed: tuple[Outcome, ...] = (),
) -> ReadyItems:
    """Returns the finished items of a group, without those that run again, whose commits are kept under rescue refs.

    `failed`: the outcomes of items of earlier groups that did not succeed.
    """
    already = _read_outcomes(ledger, state, group)
    outdated, notices = _find_outdated(repo, ledger, state, already), []
    if outdated:
        outcomes = tuple(already.values())
        already = set_aside(repo, ledger, Unsound(outcomes, frozenset(outdated)), _REASON)
        for outcome in outcomes:
            if paths := outdated.get(outcome.item.key):
                said = f"again: {outcome.item.name}, a review has since changed what it read: {list_names(paths)}"
                notices.append(clean_text(said))
    if any(outcome.commit.plan_item for outcome in already.values() if outcome.commit):
        already, early = _take_early(repo, ledger, already, group, failed)
        notices += early
    tip = require_tip(repo, ledger.batch.record.target)
    if lost := find_unsound(
        tuple(already.values()), BaseReader(repo.objects), partial(find_unmerged, repo, tip=tip)
    ):
        already = set_aside(repo, ledger, Unsound(tuple(already.values()), lost))
    return ReadyItems(already, tuple(notices))


def _take_early(
    repo: Repository,
    ledger: Ledger,
    ready: Mapping[ItemKey, Outcome],
    group: BatchGroup,
    failed: tuple[Outcome, ...],
) -> tuple[Mapping[ItemKey, Outcome], tuple[CleanText, ...]]:
    """Returns the finished items without early ones that are stale, and what is said about these."""
    from gitbatch.batch.group.early_judging import EarlyJudge, set_stale_aside  # noqa: PLC0415 - most runs have none

    record = ledger.batch.record
    state = read_project_state(repo, require_tip(repo, record.target), record.plan)
    planned = state.find_items(record)
    unwritten = find_unwritten_files(GroupStart(state, group, planned, {}, failed))
    stale = EarlyJudge(repo, state, planned, unwritten).judge_all(ready.values())
    return set_stale_aside(repo, ledger, ready, stale)


def _read_outcomes(ledger: Ledger, state: BatchProgress, group: BatchGroup) -> Mapping[ItemKey, Outcome]:
    ready = {key: outcome for key, outcome in state.ready.items() if outcome.item in group.items}
    reviews = {key: decided.review for key, decided in state.reopened.items()}
    tried = ledger.entries.since_review
    return {
        key: replace(
            outcome,
            earlier=tuple(attempt for attempt in tried(key, reviews.get(key, "")) if attempt.is_counted),
        )
        for key, outcome in ready.items()
    }


def _find_outdated(
    repo: Repository, ledger: Ledger, state: BatchProgress, ready: Mapping[ItemKey, Outcome]
) -> Mapping[ItemKey, tuple[str, ...]]:
    """Returns the items, by key, that read other versions of reviewed outputs than the branch has, with their paths."""
    reviewed = frozenset(_list_reviewed(state))
    if not reviewed:
        return {}
    tree = repo.objects.tree_of(require_tip(repo, ledger.batch.record.target))
    found = {}
    in_turn = {key: o for key, o in ready.items() if not (o.commit and o.commit.plan_item)}
    for key, outcome in in_turn.items():  # early ones are judged by all that they read
        message = repo.objects.read_commit(outcome.commit).message if outcome.commit else ""
        trailers = parse_trailers(message)
        read: dict[str, str | None] = {missing.path: None for missing in trailers.missing}
        read |= dict(trailers.context)
        now = {path: repo.objects.find_entry(tree, path) for path in read.keys() & reviewed}
        changed = (path for path, entry in now.items() if (entry.oid if entry else None) != read[path])
        if paths := tuple(sorted(path for path in changed if path != outcome.item.output)):
            found[key] = paths
    return found


def _list_reviewed(state: BatchProgress) -> Iterator[str]:
    """Yields the outputs of the items that a review has made run again, or taken back."""
    for finished in state.finished:
        for item in finished.group.items:
            standing = finished.standings[item.key]
            if standing.reviews or (standing.decided and standing.decided.decision.kind.puts_back):
                yield item.output
