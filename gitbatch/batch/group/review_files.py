"""Writing a review into the shared files: boxes that are open again, status, lines in the decisions log, artifacts.

The files are read from the commit that the review is built on, as with a checkpoint (`shared_files.py`). Of an item that is
taken back, the lines in the shared artifacts are removed. Its decisions stay in the decisions log, which is only ever
added to: a line for each says that it was taken back.
"""

import time
from collections.abc import Iterable

from msgspec import Struct

from gitbatch.batch.group.put_back import TakenBack
from gitbatch.batch.group.shared_files import Consolidation, StatusRow, criteria_of, status_section
from gitbatch.batch.history.decisions import DecisionKind, ItemDecision, ItemName
from gitbatch.batch.history.review_message import describe_decisions, describe_taken_back
from gitbatch.batch.item.contributions import group_contributions
from gitbatch.batch.model import MOST_OUTCOMES, BatchGroup, Outcome, Record
from gitbatch.batch.planning.project_state import ProjectState
from gitbatch.plan.tick import untick
from gitbatch.project.edits import Decision, append_decisions, remove_contributions, replace_section
from gitbatch.text import CleanText, clean_text, markdown


class ReviewContent(Struct, frozen=True):
    """The decisions of a review, with the files that they change."""

    group: BatchGroup
    """The group of the last checkpoint."""
    outcomes: tuple[Outcome, ...]
    """Of that group's items, and of all items that are decided about."""
    decisions: tuple[ItemDecision, ...]
    taken: tuple[TakenBack, ...]
    """The items that are taken back."""


def consolidate_review(
    record: Record, decided: ReviewContent, project_state: ProjectState, now: float
) -> Consolidation:
    """Returns the shared files with the decisions of a review.

    Args:
        record: the batch.
        decided: what the review decides.
        project_state: of the commit to build on.
        now: seconds since the epoch.
    """
    group, outcomes, decisions = decided.group, decided.outcomes, decided.decisions
    project, read = project_state.project, project_state.snapshot.read
    source = _open_boxes(record, decisions, project_state)
    criteria = criteria_of(project_state.plan, source)
    number, of = record.position_of(group), len(record.groups)
    head = f"Batch {record.batch}, review {number} of {of}: {markdown(group.title)}."
    section = status_section(head, list_review_rows(record.format, outcomes, decisions), outcomes, criteria)
    date = time.strftime("%Y-%m-%d", time.gmtime(now))
    line = Decision(date, f"Review {number}/{of}", describe_decisions(decisions))
    artifacts, left = _remove_lines(decided.taken, project_state)
    files = {
        project.plan_path: source,
        project.status: replace_section(read(project.status) or b"# Status\n", section),
        project.decisions: append_decisions(
            read(project.decisions) or b"", (line, *_withdraw_decisions(decided.taken, date))
        ),
        **artifacts,
    }
    found = project_state.find_items(record)
    keys = {ItemName(item.group, item.output): item.key for item in record.items}
    notes = tuple(
        clean_text(f"{project_state.plan.path} has no item any more that writes {d.item.output}")
        for d in decisions
        if keys.get(d.item) not in found
    )
    changed = tuple((path, content) for path, content in files.items() if content != read(path))
    return Consolidation(changed, criteria, (*notes, *left))


def _withdraw_decisions(taken: tuple[TakenBack, ...], date: str) -> tuple[Decision, ...]:
    """Returns a line of the log for each decision of agents whose items are taken back."""
    return tuple(
        Decision(date, each.item.name, text)
        for each in taken
        for text in describe_taken_back(each.decision, _list_decisions(each.versions))
    )


def _list_decisions(versions: Iterable[Outcome]) -> Iterable[str]:
    return (text for outcome in versions if outcome.reply for text in outcome.reply.decisions)


def _remove_lines(
    taken: tuple[TakenBack, ...], project_state: ProjectState
) -> tuple[dict[str, bytes], tuple[CleanText, ...]]:
    """Returns the shared artifacts without the lines of items that are taken back, and a note for each that is not found."""
    files, notes = dict[str, bytes](), list[CleanText]()
    for each in taken:
        replies = (outcome.reply for outcome in each.versions if outcome.reply)
        given = group_contributions((c for reply in replies for c in reply.contributions), project_state)
        for path, texts in given.items():
            source = files.get(path, project_state.snapshot.read(path) or b"")
            removed = remove_contributions(source, clean_text(each.title), texts)
            files[path] = removed.source
            notes += [
                clean_text(f"{path} does not have this line of {each.item.name} any more: {text}")
                for text in removed.left
            ]
    return {path: content for path, content in files.items() if content}, tuple(notes)


def list_review_rows(
    form: int, outcomes: tuple[Outcome, ...], decisions: tuple[ItemDecision, ...]
) -> tuple[StatusRow, ...]:
    """Returns the rows of the status; of many, not those of items that succeeded and were not decided about, or approved.

    Args:
        form: the batch's format, which allows that from 2 on.
        outcomes: all of them.
        decisions: of the review.
    """
    decided: dict[ItemName, list[ItemDecision]] = {}
    for decision in decisions:
        decided.setdefault(decision.item, []).append(decision)
    found = tuple((o, decided.get(ItemName(o.item.group, o.item.output), [])) for o in outcomes)
    is_short = form > 1 and len(outcomes) > MOST_OUTCOMES
    return tuple(
        _review_row(outcome, said)
        for outcome, said in found
        if not is_short or not outcome.succeeded or any(d.kind is not DecisionKind.APPROVE for d in said)
    )


def _review_row(outcome: Outcome, decisions: list[ItemDecision]) -> StatusRow:
    said = outcome.reply.summary if outcome.reply and outcome.succeeded else outcome.reason
    if not decisions:
        return StatusRow(outcome.item, outcome.status, said)
    comments = [d.comment for d in decisions if d.comment and d.kind is not DecisionKind.APPROVE]
    words = " and ".join(decision.kind.word for decision in decisions)
    return StatusRow(outcome.item, words, comments[0] if comments else said)


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
