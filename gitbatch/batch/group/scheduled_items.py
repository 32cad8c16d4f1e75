"""Scheduling the items of a group: which of them run, and with which settings. Runs on the git thread."""

from collections.abc import Mapping

from msgspec import Struct

from gitbatch.agents.secrets import Secrets
from gitbatch.batch.item.scheduled import ScheduledItem
from gitbatch.batch.model import BatchGroup, BatchItem, ItemStatus, Outcome, Record
from gitbatch.batch.planning.missing_inputs import InputFinder, find_blocking_input
from gitbatch.batch.planning.project_state import ProjectState, find_place_problem
from gitbatch.batch.planning.schedule import settings_of
from gitbatch.plan.matching import PlannedItem
from gitbatch.plan.model import ItemKey
from gitbatch.repo.attributes import FilteredPathError, require_no_filter
from gitbatch.repo.repository import Repository
from gitbatch.sandbox.model import SandboxKind
from gitbatch.text import clean_text


class GroupStart(Struct, frozen=True):
    """A group that is about to run."""

    project_state: ProjectState
    """Of the target branch's tip, which is the base of every item that starts now."""
    group: BatchGroup
    planned: Mapping[ItemKey, PlannedItem]
    """The batch's items, by key, as the plan has them at the tip; those that it lost are left out."""
    already: Mapping[ItemKey, Outcome]
    """Outcomes, by key, of items that an earlier start of the batch has finished."""
    failed: tuple[Outcome, ...]
    """Outcomes of items of earlier groups that did not succeed."""

    @property
    def items(self) -> tuple[BatchItem, ...]:
        """The items that get an outcome in this group."""
        return pending_items(self.planned, self.group, self.already)


class ItemDefaults(Struct, frozen=True):
    """Settings of a run that all of its items share."""

    record: Record
    """The batch."""
    sandbox: SandboxKind | None
    """The sandbox that the user asked for on the command line."""
    secrets: Secrets
    """Values that no text and no output may hold."""


def pending_items(
    planned: Mapping[ItemKey, PlannedItem], group: BatchGroup, already: Mapping[ItemKey, Outcome]
) -> tuple[BatchItem, ...]:
    """Returns the items of a group without those that were ticked since: by hand, or by rewording a checkpoint."""
    ticked = {key for key, (_, item) in planned.items() if item.done}
    return tuple(item for item in group.items if item.key in already or item.key not in ticked)


def schedule_items(
    repo: Repository, start: GroupStart, defaults: ItemDefaults
) -> Mapping[ItemKey, ScheduledItem | Outcome]:
    """Returns, by key, each item that is still to run, scheduled, or its outcome if it cannot start."""
    items = (item for item in start.items if item.key not in start.already)
    chosen = frozenset(item.output for item in defaults.record.items)
    failed = {outcome.item.output: outcome for outcome in start.failed}
    state = start.project_state
    inputs = InputFinder(state.plan, state.project, state.snapshot, failed, chosen)
    return {item.key: _schedule_item(repo, start, item, defaults, inputs) for item in items}


def _schedule_item(
    repo: Repository,
    start: GroupStart,
    batch_item: BatchItem,
    defaults: ItemDefaults,
    inputs: InputFinder,
) -> ScheduledItem | Outcome:
    state = start.project_state
    found = start.planned.get(batch_item.key)
    if found is None:
        reason = clean_text(f"it is no longer in {state.plan.path}")
        return Outcome(batch_item, ItemStatus.CANCELLED, reason=reason)
    plan_group, item = found
    missing = inputs.find_missing(item, plan_group)
    table, mode = state.project.config.batch, defaults.record.checkpoint_mode
    if blocking := find_blocking_input(missing, table, mode):
        others = tuple(each for each in missing if each is not blocking)
        reason = clean_text(f"{'required context' if blocking.is_required else 'input'} {blocking}")
        return Outcome(batch_item, ItemStatus.BLOCKED, reason=reason, missing=others)
    if problem := find_place_problem(state, item.output):
        reason = clean_text(f"cannot write the output: {problem}")
        return Outcome(batch_item, ItemStatus.CONFLICTED, reason=reason)
    try:
        require_no_filter(repo, state.tree, item.output)
    except FilteredPathError as error:
        return Outcome(batch_item, ItemStatus.FAILED, reason=clean_text(f"cannot take the output: {error}"))
    hints, config = settings_of(item, plan_group, state.plan), state.project.config
    agent = hints.agent or defaults.record.agent
    if agent not in config.agents:
        reason = clean_text(f"agent {agent} is no longer in gitbatch.toml")
        return Outcome(batch_item, ItemStatus.FAILED, reason=reason)
    return ScheduledItem(
        state,
        start.group,
        batch_item,
        plan_group,
        item,
        agent,
        hints.timeout,
        config.batch.retries if hints.retries is None else hints.retries,
        defaults.secrets,
        defaults.sandbox,
        missing,
    )
