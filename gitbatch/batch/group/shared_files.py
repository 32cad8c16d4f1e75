"""Writing a checkpoint into the shared files (rules O3, O4, E2): ticks, status, decisions, artifacts.

The files are read from the commit that the checkpoint is built on, so the user's own commits meanwhile are kept.
"""

import time
from collections.abc import Mapping

from msgspec import Struct

from gitbatch.batch.history.messages import describe_left_out, describe_missing
from gitbatch.batch.item.contributions import describe_lost_contributions, group_contributions
from gitbatch.batch.model import MOST_OUTCOMES, BatchGroup, BatchItem, CriterionState, Outcome, Record
from gitbatch.batch.planning.project_state import ProjectState, read_project_state
from gitbatch.errors import PlanError
from gitbatch.paths import quote_path
from gitbatch.plan.model import BoxPosition, ItemKey, Plan
from gitbatch.plan.tick import is_ticked, tick
from gitbatch.project.edits import Decision, append_contributions, append_decisions, replace_section
from gitbatch.repo.repository import Repository
from gitbatch.text import CleanText, clean_text, markdown


class Consolidation(Struct, frozen=True):
    """The shared files after a checkpoint, and notes about them."""

    files: tuple[tuple[str, bytes], ...]
    """Path and new content of each that changes."""
    criteria: tuple[CriterionState, ...]
    notes: tuple[CleanText, ...]


class StatusRow(Struct, frozen=True):
    """A row of the table of items in status.md."""

    item: BatchItem
    status: str
    said: str


def consolidate(
    record: Record,
    group: BatchGroup,
    outcomes: tuple[Outcome, ...],
    boxes: Mapping[ItemKey, BoxPosition],
    project_state: ProjectState,
    now: float,
) -> Consolidation:
    """Returns the shared files with the outcomes of a group.

    Args:
        record: the batch.
        group: the group.
        outcomes: of its items, after the merge.
        boxes: the positions of the items' boxes in the plan that they ran by, by key.
        project_state: of the commit to build on.
        now: seconds since the epoch.
    """
    done = [outcome for outcome in outcomes if outcome.succeeded]
    source, notes = _tick_items(done, boxes, project_state)
    source = _tick_criteria(source, project_state)
    criteria = criteria_of(project_state.plan, source)
    read = project_state.snapshot.read
    project = project_state.project
    decisions = tuple(
        Decision(time.strftime("%Y-%m-%d", time.gmtime(now)), outcome.item.name, text)
        for outcome in done
        for text in (outcome.reply.decisions if outcome.reply else ())
    )
    files = {
        project.plan_path: source,
        project.status: replace_section(
            read(project.status) or b"# Status\n",
            status_section(
                _describe_checkpoint(record, group), _status_rows(record, outcomes), outcomes, criteria
            ),
        ),
    }
    if decisions:
        files[project.decisions] = append_decisions(read(project.decisions) or b"", decisions)
    artifacts, unknown = _add_contributions(group, done, project_state)
    files |= artifacts
    changed = tuple((path, content) for path, content in files.items() if content != read(path))
    return Consolidation(changed, criteria, (*notes, *unknown))


def _tick_items(
    done: list[Outcome], boxes: Mapping[ItemKey, BoxPosition], project_state: ProjectState
) -> tuple[bytes, tuple[CleanText, ...]]:
    names = {boxes[outcome.item.key]: outcome.item for outcome in done if outcome.item.key in boxes}
    ticked = tick(project_state.source, tuple(names), project_state.plan)
    notes = tuple(
        clean_text(
            f"the box of {names[box].name} was not ticked: its line in {project_state.plan.path} has changed"
        )
        for box in ticked.refused
    )
    gone = tuple(
        clean_text(
            f"the box of {o.item.name} was not ticked: no item of {project_state.plan.path} writes {o.item.output} any more"
        )
        for o in done
        if o.item.key not in boxes
    )
    return ticked.source, (*notes, *gone)


def _tick_criteria(source: bytes, project_state: ProjectState) -> bytes:
    """Ticks each entry of the Definition of Done whose items are all done, unless `tick-dod` is off."""
    if not project_state.project.config.batch.tick_dod:
        return source
    complete = {
        c.number
        for c in criteria_of(project_state.plan, source)
        if c.items and not c.open_items and not c.done
    }
    return tick(
        source, tuple(c.box for c in project_state.plan.criteria if c.number in complete), project_state.plan
    ).source


def criteria_of(plan: Plan, source: bytes) -> tuple[CriterionState, ...]:
    """Returns the state of each entry of the Definition of Done.

    Args:
        plan: a plan.
        source: its text, in which more boxes may be ticked: a tick changes nothing else.
    """
    states = []
    for criterion in plan.criteria:
        items = [item for item in plan.items if criterion.number in item.criteria]
        names = tuple(item.name for item in items)
        open_items = sum(not is_ticked(source, item.box) for item in items)
        done = is_ticked(source, criterion.box)
        states.append(CriterionState(criterion.number, clean_text(criterion.text), done, names, open_items))
    return tuple(states)


def read_criteria(repo: Repository, record: Record) -> tuple[CriterionState, ...]:
    """Returns the Definition of Done on the target branch of a batch; empty if the branch has no readable plan."""
    commit = repo.refs.read(record.target)
    try:
        project_state = read_project_state(repo, commit, record.plan) if commit else None
    except PlanError:
        return ()
    return criteria_of(project_state.plan, project_state.source) if project_state else ()


def _add_contributions(
    group: BatchGroup, done: list[Outcome], project_state: ProjectState
) -> tuple[dict[str, bytes], tuple[CleanText, ...]]:
    """Returns the shared artifacts with the group's contributions, and a note for each contribution without one."""
    replies = tuple(outcome.reply for outcome in done if outcome.reply)
    given = group_contributions((c for reply in replies for c in reply.contributions), project_state)
    notes = (
        clean_text(f"{outcome.item.name} {note}")
        for outcome in done
        if outcome.reply
        for note in describe_lost_contributions(outcome.reply.contributions, project_state)
    )
    read = project_state.snapshot.read
    files = {
        path: append_contributions(read(path) or b"", group.title, texts) for path, texts in given.items()
    }
    return files, tuple(dict.fromkeys(notes))


def _describe_checkpoint(record: Record, group: BatchGroup) -> str:
    number, of = record.position_of(group), len(record.groups)
    again = f", revision {group.revision}" if group.revision else ""
    return f"Batch {record.batch}, checkpoint {number} of {of}{again}: {markdown(group.title)}."


def _status_rows(record: Record, outcomes: tuple[Outcome, ...]) -> tuple[StatusRow, ...]:
    """Returns the rows of the outcomes; in a format that allows it, of many only those that did not succeed."""
    is_short = record.format > 1 and len(outcomes) > MOST_OUTCOMES
    listed = tuple(o for o in outcomes if not o.succeeded) if is_short else outcomes
    return tuple(
        StatusRow(o.item, o.status, o.reply.summary if o.reply and o.succeeded else o.reason) for o in listed
    )


def status_section(
    head: str,
    rows: tuple[StatusRow, ...],
    outcomes: tuple[Outcome, ...],
    criteria: tuple[CriterionState, ...],
) -> str:
    """Returns our section of status.md: the batch's position, the last group's items, the Definition of Done."""
    lines = [
        "## Batch status",
        "",
        head,
        "",
        "| Item | Output | Status | Summary |",
        "|---|---|---|---|",
        *(
            f"| {markdown(row.item.name)} | {markdown(row.item.output)} | {row.status} | {markdown(row.said)} |"
            for row in rows
        ),
    ]
    if left_out := len(outcomes) - len(rows):
        lines += ["", describe_left_out(left_out)]
    missing = [f"- {markdown(line)}" for line in describe_missing(outcomes, quote_path)]
    if missing:
        lines += ["", "Missing inputs:", "", *missing]
    if criteria:
        lines += ["", "| DoD | Done | Items |", "|---|---|---|"]
        lines += [
            f"| #{c.number} {markdown(c.text)} | {'yes' if c.done else 'no'} | {_format_coverage(c)} |"
            for c in criteria
        ]
    return "\n".join(lines)


def _format_coverage(criterion: CriterionState) -> str:
    if criterion.cross_cutting:
        return "cross-cutting"
    return f"{len(criterion.items) - criterion.open_items} of {len(criterion.items)}"
