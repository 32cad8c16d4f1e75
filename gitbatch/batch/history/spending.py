"""The usage of a batch over all its starts, read from git: from items' commits, and from the ledger for the rest."""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from msgspec import Struct

from gitbatch.batch.history.item_commits import parse_item_commit, read_item_commit
from gitbatch.batch.history.ledger import LedgerEntries
from gitbatch.batch.history.progress import BatchProgress, FinishedGroup
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.trailers import Kind, parse_trailers
from gitbatch.batch.model import BatchGroup, BatchItem, FailedAttempt, ItemStatus, Outcome
from gitbatch.checks.verdict import CheckResult
from gitbatch.limits.usage import Spent
from gitbatch.plan.model import ItemKey
from gitbatch.repo.refs.names import item_branch
from gitbatch.repo.repository import Repository


class ItemSpent(Struct, frozen=True):
    """The attempts, usage and time of an item so far."""

    attempts: int
    spent: Spent
    seconds: float
    """The time of the attempts that ended."""
    checks: tuple[CheckResult, ...] = ()
    """The checks of its output: of a finished item all, of one that is not the verdicts so far."""
    host: str = ""
    """The other machine that the agent of its last attempt worked on; empty: this one."""


def read_spending(
    repo: Repository, batch: Batch, state: BatchProgress, entries: LedgerEntries
) -> Mapping[ItemKey, ItemSpent]:
    """Returns the usage of each item so far, by key; items without any known usage are left out."""
    found = {}
    for key in entries.items:
        counted = sum(tried.is_counted for tried in entries.of_item(key))
        took = sum(tried.seconds for tried in entries.of_item(key))
        host = entries.of_item(key)[-1].host if entries.of_item(key) else ""
        found[key] = ItemSpent(counted, entries.spent_on(key), round(took, 1), host=host)
    for key, held in state.unchecked.items():
        if not held.is_ended_by(entries.of_item(key)):
            known, tried = found.get(key, ItemSpent(0, Spent(), 0.0)), held.tried
            spent = known.spent + Spent.of_attempt(held.usage)
            took = round(known.seconds + tried.seconds, 1)
            checks = tuple(noted.result for noted in held.verdicts)
            found[key] = ItemSpent(known.attempts + 1, spent, took, checks, tried.host)
    done: dict[ItemKey, list[Outcome]] = {}
    waiting = _read_unmerged(repo, batch, state)
    for outcome in (*_read_recorded(repo, batch, state), *waiting):
        done.setdefault(outcome.item.key, []).append(outcome)
    on_branches = frozenset(outcome.item.key for outcome in waiting)
    for key, outcomes in done.items():
        found[key] = _sum_versions(outcomes, _find_unpaid(state, entries, key, on_branches))
    return found


def _find_unpaid(
    state: BatchProgress, entries: LedgerEntries, key: ItemKey, on_branches: AbstractSet[ItemKey]
) -> tuple[FailedAttempt, ...]:
    """Returns the failed attempts at an item that no commit of it includes: those of runs without a success.

    `on_branches`: the items whose last run has a commit that is not merged.
    """
    standing = next((f.standings[key] for f in state.finished if key in f.standings), None)
    if standing is None or not standing.reviews:
        return ()
    parts = entries.split_item(key, standing.reviews)
    left = zip(parts, standing.phases, strict=True)
    in_commits = parts[-1] if key in on_branches else None
    return tuple(
        attempt for part, brought in left if not brought and part is not in_commits for attempt in part
    )


def _sum_versions(outcomes: list[Outcome], unpaid: tuple[FailedAttempt, ...]) -> ItemSpent:
    """Returns the usage of an item with all versions of its output. Each includes the failed attempts of its run."""
    spent = sum((o.spent for o in outcomes), Spent())
    spent += sum((Spent.of_attempt(attempt.usage) for attempt in unpaid), Spent())
    attempts = sum(o.attempts for o in outcomes) + sum(attempt.is_counted for attempt in unpaid)
    seconds = round(sum(o.seconds for o in outcomes) + sum(attempt.seconds for attempt in unpaid), 1)
    return ItemSpent(attempts, spent, seconds, outcomes[-1].checks, outcomes[-1].host)


def read_all_versions(repo: Repository, batch: Batch, state: BatchProgress) -> tuple[Outcome, ...]:
    """Returns the outcomes that commits of items record, of each item in order."""
    versions = (outcome for finished in state.finished for outcome in read_versions(repo, batch, finished))
    return (*versions, *_read_unmerged(repo, batch, state))


def _read_unmerged(repo: Repository, batch: Batch, state: BatchProgress) -> tuple[Outcome, ...]:
    return (*state.ready.values(), *_conflicted_outcomes(repo, batch, state))


def _read_recorded(repo: Repository, batch: Batch, state: BatchProgress) -> Iterator[Outcome]:
    """Yields what the commits of merged items say of themselves. Their trees are not read."""
    for finished in state.finished:
        items = {item.output: item for item in finished.group.items}
        merged = (
            oid
            for checkpoint in (finished.commit, *finished.revisions)
            for oid in _list_merged(repo, batch, checkpoint)
        )
        for commit in repo.objects.read_commits(merged):
            item = items.get(parse_trailers(commit.message).output)
            outcome = parse_item_commit(batch.id, item, commit) if item else None
            if outcome:
                yield outcome


def sum_spending(spending: Mapping[ItemKey, ItemSpent]) -> Spent:
    """Returns the usage of all items together."""
    return sum((item.spent for item in spending.values()), Spent())


def read_merged_outcomes(repo: Repository, batch: Batch, finished: FinishedGroup) -> list[Outcome]:
    """Returns the outcomes of the items whose outputs a group has in history: of several versions, the last."""
    last = {outcome.item.key: outcome for outcome in read_versions(repo, batch, finished)}
    gone = {outcome.item.key for outcome in finished.failed} | finished.reopened.keys()
    return [outcome for key, outcome in last.items() if key not in gone]


def read_versions(repo: Repository, batch: Batch, finished: FinishedGroup) -> list[Outcome]:
    """Returns the outcomes of all items that the merges of a group and of its revisions brought, in order."""
    return [
        outcome
        for checkpoint in (finished.commit, *finished.revisions)
        for outcome in read_brought(repo, batch, finished.group, checkpoint)
    ]


def read_brought(repo: Repository, batch: Batch, group: BatchGroup, checkpoint: str) -> list[Outcome]:
    """Returns the outcomes of the items that the merges below a checkpoint brought."""
    items = {item.output: item for item in group.items}
    found = (_read_outcome(repo, batch, items, oid) for oid in _list_merged(repo, batch, checkpoint))
    return [outcome for outcome in found if outcome]


def _list_merged(repo: Repository, batch: Batch, checkpoint: str) -> list[str]:
    """Returns the item commits that the merges below a checkpoint brought, of the last merge first."""
    found: list[str] = []
    commit = repo.objects.read_commit(repo.objects.read_commit(checkpoint).parents[0])
    while _is_merge(commit.message, batch):
        found += commit.parents[1:]
        commit = repo.objects.read_commit(commit.parents[0])
    return found


def _is_merge(message: str, batch: Batch) -> bool:
    trailers = parse_trailers(message)
    return trailers.kind is Kind.MERGE and trailers.batch == batch.id


def _read_outcome(repo: Repository, batch: Batch, items: Mapping[str, BatchItem], oid: str) -> Outcome | None:
    item = items.get(parse_trailers(repo.objects.read_commit(oid).message).output)
    return read_item_commit(repo, batch.id, item, oid) if item else None


def _conflicted_outcomes(repo: Repository, batch: Batch, state: BatchProgress) -> list[Outcome]:
    """Returns the outcomes of conflicted items, whose commits stay on their branches."""
    conflicted = (o.item for o in state.failed if o.status is ItemStatus.CONFLICTED)
    branches = ((item, repo.refs.read(item_branch(batch.id, item.slug))) for item in conflicted)
    return [found for item, oid in branches if oid and (found := read_item_commit(repo, batch.id, item, oid))]
