"""Reading the report of a batch: from its record, the commits of its branch, its items' commits and its ledger."""

from gitbatch.batch.history.batches import read_any_progress
from gitbatch.batch.history.given_outputs import OutputsReader
from gitbatch.batch.history.ledger import read_ledger
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.rescued_files import map_rescued
from gitbatch.batch.history.review_message import parse_review_message
from gitbatch.batch.history.spending import read_spending
from gitbatch.batch.history.trailers import Kind
from gitbatch.batch.model import BatchGroup, Record
from gitbatch.batch.planning.project_state import read_project_state
from gitbatch.batch.report.branch_line import BranchCommit, read_branch_line
from gitbatch.batch.report.items import (
    ItemSources,
    read_item,
    read_item_versions,
    select_outcomes,
    sum_models,
)
from gitbatch.batch.report.model import (
    BatchReport,
    CriterionItem,
    ReportCheckpoint,
    ReportCriterion,
    ReportGroup,
    ReportReview,
)
from gitbatch.errors import PlanError
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text


def read_report(repo: Repository, batch: Batch) -> BatchReport:
    """Returns the report of a batch. Changes nothing."""
    line = read_branch_line(repo, batch)
    reviews = tuple(_read_review(commit) for commit in line if commit.trailers.kind is Kind.REVIEW)
    groups = _read_groups(repo, batch, line, reviews)
    record, tip = batch.record, line[-1].shown.oid if line else batch.base
    return BatchReport(
        batch=batch.id,
        repository=repo.name,
        target=record.target,
        plan=record.plan_path,
        phase=record.phase,
        mode=record.mode,
        agent=record.agent,
        started=float(record.started),
        ended=batch.ended,
        base=batch.base,
        tip=tip,
        groups=groups,
        reviews=reviews,
        criteria=_read_criteria(repo, tip, record),
        models=sum_models(item for group in groups for item in group.items),
        commits=tuple(commit.shown for commit in line),
    )


def _read_groups(
    repo: Repository, batch: Batch, line: tuple[BranchCommit, ...], reviews: tuple[ReportReview, ...]
) -> tuple[ReportGroup, ...]:
    state = read_any_progress(repo, batch)
    entries = read_ledger(repo, batch.id)
    versions = read_item_versions(repo, batch, state)
    sources = ItemSources(
        select_outcomes(state, versions),
        versions,
        frozenset(state.ready),
        read_spending(repo, batch, state, entries),
        entries,
        map_rescued(repo, batch.id),
        OutputsReader(repo.objects),
        batch.record.plan_path,
        tuple(decision for review in reviews for decision in review.decisions),
    )
    return tuple(
        ReportGroup(
            group.number,
            group.title,
            tuple(read_item(repo, item, sources) for item in group.items),
            _read_checkpoints(line, group),
        )
        for group in batch.record.groups
    )


def _read_checkpoints(line: tuple[BranchCommit, ...], group: BatchGroup) -> tuple[ReportCheckpoint, ...]:
    return tuple(
        ReportCheckpoint(
            commit=commit.shown,
            position=commit.trailers.position,
            revision=commit.trailers.revision,
            succeeded=len(commit.trailers.succeeded),
            failed=len(commit.trailers.failed),
            gates=commit.trailers.gates,
        )
        for commit in line
        if commit.trailers.kind is Kind.CHECKPOINT and commit.trailers.group == group.number
    )


def _read_review(commit: BranchCommit) -> ReportReview:
    return ReportReview(commit.shown, commit.trailers.position, parse_review_message(commit.message))


def _read_criteria(repo: Repository, commit: str, record: Record) -> tuple[ReportCriterion, ...]:
    """Returns the Definition of Done as a commit has it; empty if the commit has no readable plan."""
    try:
        plan = read_project_state(repo, commit, record.plan).plan
    except PlanError:
        return ()
    return tuple(
        ReportCriterion(
            criterion.number,
            clean_text(criterion.text),
            criterion.done,
            tuple(
                CriterionItem(item.group, item.name, item.done)
                for item in plan.items
                if criterion.number in item.criteria
            ),
        )
        for criterion in plan.criteria
    )
