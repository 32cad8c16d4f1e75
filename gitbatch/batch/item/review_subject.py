"""What the reviewer of an item is given: the item, its criteria, its context, the output, and the review before."""

from msgspec import Struct

from gitbatch.agents.prompt import render_group, render_item
from gitbatch.agents.protocol import Failure
from gitbatch.agents.review.further import find_changed_lines, find_open_lines
from gitbatch.agents.review.prompt import EarlierReview, ReviewMaterial, split_lines
from gitbatch.batch.item.scheduled import ScheduledItem
from gitbatch.checks.review import ReviewSubject, find_material_problem, find_named_lines
from gitbatch.checks.tree import TreeContent
from gitbatch.limits.causes import Cause
from gitbatch.plan.duration import require_duration
from gitbatch.project.check_tables import CheckTable
from gitbatch.project.context import ContextFile
from gitbatch.repo.repository import Repository
from gitbatch.text import CleanText, clean_text


class SentBack(Struct, frozen=True):
    """The review before, which sent the output back."""

    blob: str
    """The output as it was."""
    findings: tuple[CleanText, ...]


class ReviewedOutput(Struct, frozen=True):
    """The output that is reviewed."""

    content: TreeContent
    """The base with the output."""
    context: tuple[ContextFile, ...]
    """The files that the author was to read."""
    attempt: int
    """The number of the attempt."""
    is_quoted_only: bool = False
    """The content has the base's version of the output."""
    before: SentBack | None = None
    """The review before, if that sent the output back."""


def find_review_subject(
    repo: Repository, scheduled: ScheduledItem, table: CheckTable, reviewed: ReviewedOutput
) -> ReviewSubject | Failure:
    """Returns what a reviewer is asked; a failure if the output cannot be given to one. Used on the git thread."""
    content, before = reviewed.content, reviewed.before
    output = repo.objects.read_blob(content.blob)
    if problem := find_material_problem(output):
        reason = clean_text(f"unreviewed: {content.output} {problem}")
        return Failure(reason, cause=Cause.UNREVIEWED)
    lines = _read_lines(output)
    named = frozenset(scheduled.item.criteria)
    criteria = scheduled.project_state.plan.criteria
    old = _read_lines(repo.objects.read_blob(before.blob)) if before else ()
    material = ReviewMaterial(
        path=content.output,
        lines=lines,
        question=table.prompt or "",
        item=render_item(scheduled.item),
        group=render_group(scheduled.group),
        criteria=tuple((each.number, each.text) for each in criteria if each.number in named),
        context=reviewed.context,
        is_quoted_only=reviewed.is_quoted_only,
        earlier=EarlierReview(before.findings, find_changed_lines(old, lines)) if before else None,
    )
    return ReviewSubject(
        item=scheduled.key,
        material=material,
        content=content,
        tree=repo.objects.tree_of(content.commit),
        timeout=require_duration(table.timeout),
        attempt=reviewed.attempt,
        open_lines=find_open_lines(old, lines, find_named_lines(before.findings)) if before else None,
    )


def _read_lines(output: bytes) -> tuple[str, ...]:
    return split_lines(output.decode(errors="replace"))
