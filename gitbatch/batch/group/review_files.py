"""Writing a review into the shared files: boxes that are open again, status, a line in the decisions log.

The files are read from the commit that the review is built on, as with a checkpoint (`shared_files.py`).
"""

import time

from gitbatch.batch.group.shared_files import Consolidation, StatusRow, criteria_of, status_section
from gitbatch.batch.history.decisions import DecisionKind, ItemDecision, ItemName
from gitbatch.batch.history.review_message import describe_decisions
from gitbatch.batch.model import BatchGroup, Outcome, Record
from gitbatch.batch.planning.project_state import ProjectState
from gitbatch.plan.tick import untick
from gitbatch.project.edits import Decision, append_decisions, replace_section
from gitbatch.text import clean_text, markdown


def consolidate_review(
    record: Record,
    group: BatchGroup,
    outcomes: tuple[Outcome, ...],
    decisions: tuple[ItemDecision, ...],
    project_state: ProjectState,
    now: float,
) -> Consolidation:
    """Returns the shared files with the decisions of a review.

    Args:
        record: the batch.
        group: the group of the last checkpoint.
        outcomes: of that group's items, and of all items that are decided about.
        decisions: each about another item.
        project_state: of the commit to build on.
        now: seconds since the epoch.
    """
    project, read = project_state.project, project_state.snapshot.read
    source = _open_boxes(record, decisions, project_state)
    criteria = criteria_of(project_state.plan, source)
    number, of = record.position_of(group), len(record.groups)
    head = f"Batch {record.batch}, review {number} of {of}: {markdown(group.title)}."
    section = status_section(head, _review_rows(outcomes, decisions), outcomes, criteria)
    line = Decision(
        time.strftime("%Y-%m-%d", time.gmtime(now)), f"Review {number}/{of}", describe_decisions(decisions)
    )
    files = {
        project.task: source,
        project.status: replace_section(read(project.status) or b"# Status\n", section),
        project.decisions: append_decisions(read(project.decisions) or b"", (line,)),
    }
    found = project_state.find_items(record)
    keys = {ItemName(item.group, item.output): item.key for item in record.items}
    notes = tuple(
        clean_text(f"{project_state.plan.path} has no item any more that writes {d.item.output}")
        for d in decisions
        if keys.get(d.item) not in found
    )
    changed = tuple((path, content) for path, content in files.items() if content != read(path))
    return Consolidation(changed, criteria, notes)


def _review_rows(outcomes: tuple[Outcome, ...], decisions: tuple[ItemDecision, ...]) -> tuple[StatusRow, ...]:
    decided = {decision.item: decision for decision in decisions}
    return tuple(_review_row(o, decided.get(ItemName(o.item.group, o.item.output))) for o in outcomes)


def _review_row(outcome: Outcome, decision: ItemDecision | None) -> StatusRow:
    said = outcome.reply.summary if outcome.reply and outcome.succeeded else outcome.reason
    if decision is None:
        return StatusRow(outcome.item, outcome.status, said)
    comment = decision.comment if decision.kind is not DecisionKind.APPROVE else ""
    return StatusRow(outcome.item, decision.kind.word, comment or said)


def _open_boxes(record: Record, decisions: tuple[ItemDecision, ...], project_state: ProjectState) -> bytes:
    """Returns the plan in which the items that are sent back or taken back are open, and the criteria that name them."""
    found = project_state.find_items(record)
    keys = {ItemName(item.group, item.output): item.key for item in record.items}
    opened = [
        found[keys[d.item]][1]
        for d in decisions
        if d.kind is not DecisionKind.APPROVE and keys.get(d.item) in found
    ]
    plan = project_state.plan
    numbers = {number for item in opened for number in item.criteria if item.done}
    is_ours = project_state.project.config.batch.tick_dod
    boxes = dict.fromkeys(
        (*(i.box for i in opened), *(c.box for c in plan.criteria if is_ours and c.number in numbers))
    )
    return untick(project_state.source, tuple(boxes), plan).source
