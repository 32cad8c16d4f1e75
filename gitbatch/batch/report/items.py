"""The items of a report: their outcomes in history, their own commits, and their failed attempts in the ledger."""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.history.decisions import ItemDecision, ItemName
from gitbatch.batch.history.given_outputs import OutputsReader
from gitbatch.batch.history.ledger import LedgerEntries
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.rescued_files import RescuedFile
from gitbatch.batch.history.spending import ItemSpent, read_versions
from gitbatch.batch.history.trailers import parse_trailers
from gitbatch.batch.model import BatchItem, Outcome
from gitbatch.batch.report.branch_line import show_commit
from gitbatch.batch.report.model import ModelSpent, ReportItem
from gitbatch.limits.usage import Spent, Usage
from gitbatch.plan.model import ItemKey
from gitbatch.repo.repository import Repository
from gitbatch.text import CleanText, clean_text

_SHOWN_OUTPUTS = 500
"""The most outputs of earlier groups, of those that a group shares, that a report lists for each item."""


class ItemSources(Struct, frozen=True):
    """What git has about the items of a batch; all by key but the decisions."""

    outcomes: Mapping[ItemKey, Outcome]
    versions: Mapping[ItemKey, tuple[Outcome, ...]]
    waiting: frozenset[ItemKey]
    spending: Mapping[ItemKey, ItemSpent]
    entries: LedgerEntries
    rescued: Mapping[ItemKey, RescuedFile]
    outputs: OutputsReader
    plan: str
    """The path of the batch's plan."""
    decisions: tuple[ItemDecision, ...] = ()
    """The oldest first."""


def select_outcomes(
    state: BatchProgress, versions: Mapping[ItemKey, tuple[Outcome, ...]]
) -> dict[ItemKey, Outcome]:
    """Returns the outcome of each item that has ended; none of an item that runs again."""
    failed = {outcome.item.key: outcome for outcome in state.failed}
    reopened = state.reopened
    merged = {key: made[-1] for key, made in versions.items() if key not in reopened}
    return merged | failed | dict(state.ready)


def read_item_versions(
    repo: Repository, batch: Batch, state: BatchProgress
) -> dict[ItemKey, tuple[Outcome, ...]]:
    """Returns the versions of items that are in history, the oldest first."""
    found: dict[ItemKey, tuple[Outcome, ...]] = {}
    for finished in state.finished:
        for outcome in read_versions(repo, batch, finished):
            found[outcome.item.key] = (*found.get(outcome.item.key, ()), outcome)
    return found


def read_item(repo: Repository, item: BatchItem, sources: ItemSources) -> ReportItem:
    """Returns an item with all that git has about it."""
    key = item.key
    outcome, spending = sources.outcomes.get(key), sources.spending.get(key)
    failed, kept = sources.entries.of_item(key), sources.rescued.get(key)
    name = ItemName(item.group, item.output)
    found = ReportItem(
        item=item,
        status=outcome.status if outcome else None,
        is_waiting=key in sources.waiting,
        reply=outcome.reply if outcome else None,
        reason=_find_reason(outcome, sources.entries, key),
        attempts=spending.attempts if spending else 0,
        failed=failed,
        spent=spending.spent if spending else Spent(),
        seconds=spending.seconds if spending else 0.0,
        waited=outcome.waited if outcome else 0.0,
        host=outcome.host if outcome else clean_text(""),
        checks=spending.checks if spending else (),
        missing=outcome.missing if outcome else (),
        kept=kept.ref if kept else "",
        decisions=tuple(decision for decision in sources.decisions if decision.item == name),
        model=clean_text(failed[-1].usage.model) if failed else clean_text(""),
    )
    made = [version.commit for version in (*sources.versions.get(key, ()), outcome) if version]
    return _add_commits(repo, sources, found, tuple(dict.fromkeys(filter(None, made))))


def sum_models(items: Iterable[ReportItem]) -> tuple[ModelSpent, ...]:
    """Returns the usage of each model: of failed attempts by their own, of the rest by the model of the item's commit."""
    spent: dict[CleanText, Spent] = {}
    used: dict[CleanText, set[ItemKey]] = {}
    for item in items:
        for model, part in _split_models(item):
            spent[model] = spent.get(model, Spent()) + part
            used.setdefault(model, set()).add(item.item.key)
    return tuple(ModelSpent(model, len(used[model]), spent[model]) for model in sorted(spent))


def _split_models(item: ReportItem) -> Iterator[tuple[CleanText, Spent]]:
    """Yields the models of an item's attempts, each with a part of its usage."""
    before = Spent()
    for tried in item.failed:
        if tried.usage != Usage():
            part = Spent.of_attempt(tried.usage)
            before += part
            yield clean_text(tried.usage.model), part
    rest = item.spent.usage.without(before.usage)
    if not rest.is_empty:
        known, unknown = item.spent.known - before.known, item.spent.unknown - before.unknown
        yield item.model, Spent(rest, max(0, known), max(0, unknown))


def _find_reason(outcome: Outcome | None, entries: LedgerEntries, key: ItemKey) -> CleanText:
    """Returns why an item did not succeed, or why its last attempt failed; empty if it succeeded."""
    if outcome:
        return outcome.reason
    failed = entries.of_item(key)
    return failed[-1].reason if failed else clean_text("")


def _add_commits(
    repo: Repository, sources: ItemSources, found: ReportItem, oids: tuple[str, ...]
) -> ReportItem:
    """Returns an item with its commits, and with what the last one says beyond the outcome."""
    read = tuple((commit, parse_trailers(commit.message)) for commit in map(repo.objects.read_commit, oids))
    if not read:
        return found
    shown = tuple(show_commit(commit, trailers) for commit, trailers in read)
    last, trailers = read[-1]
    is_shown = trailers.context_outputs is None or trailers.context_outputs[0] <= _SHOWN_OUTPUTS
    context = (
        sources.outputs.read_context(last, trailers, sources.plan).items() if is_shown else trailers.context
    )
    return replace(
        found,
        commit=shown[-1],
        earlier=shown[:-1],
        agent=clean_text(trailers.first_value("Agent")),
        model=clean_text(trailers.first_value("Model")),
        context=tuple(context),
        is_early=bool(trailers.plan_item),
    )
