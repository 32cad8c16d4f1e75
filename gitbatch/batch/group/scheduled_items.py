"""Scheduling the items of a group: which of them run, and with which settings. Runs on the git thread."""

from collections.abc import Mapping
from functools import partial

from msgspec import Struct, field
from msgspec.structs import replace

from gitbatch.agents.secrets import Secrets
from gitbatch.batch.group.base import BaseBuilder
from gitbatch.batch.item.scheduled import Reopening, ScheduledItem
from gitbatch.batch.model import BatchGroup, BatchItem, ItemStatus, Outcome, Record
from gitbatch.batch.planning.early.staleness import name_reading
from gitbatch.batch.planning.missing_inputs import InputFinder, find_blocking_input
from gitbatch.batch.planning.project_state import ProjectState, find_path_problem
from gitbatch.batch.planning.risks import mark_filtered
from gitbatch.batch.planning.schedule import settings_of
from gitbatch.batch.planning.waits import Waits
from gitbatch.plan.item_digest import digest_plan_item
from gitbatch.plan.matching import PlannedItem
from gitbatch.plan.model import Group, ItemKey, Plan, WorkItem
from gitbatch.project.check_choice import item_checks
from gitbatch.project.config import CONFIG_FILE
from gitbatch.project.manifest import ManifestBuilder
from gitbatch.repo.attributes import FilteredPathError, require_no_filter
from gitbatch.repo.repository import Repository
from gitbatch.repo.snapshot import TreeSnapshot
from gitbatch.sandbox.model import SandboxKind
from gitbatch.text import clean_text, format_count


class GroupFacts(Struct):
    """What is the same for all items of a group, however many of its trees they start from: found once."""

    waits: dict[int, Waits] = field(default_factory=dict)
    """Who waits for whom, by the numbers of the plan's groups."""
    chosen: frozenset[str] | None = None
    """The outputs of the items of the batch."""
    unwritten: Mapping[str, list[WorkItem]] | None = None
    """By output: the open items that no earlier group of the batch has written, in the order of the plan."""
    ticked: Mapping[str, int] | None = None
    """By output: the last group up to this one in which an item that wrote it is ticked."""


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
    reopened: Mapping[ItemKey, Reopening] = {}
    """By key: why items run again. Empty: the group runs for the first time."""
    facts: GroupFacts = field(default_factory=GroupFacts)

    @property
    def items(self) -> tuple[BatchItem, ...]:
        """The items that get an outcome in this group."""
        return pending_items(self.planned, self.group, self.already)


class WaitingItem(Struct, frozen=True):
    """An item, with the outcomes of the items of its group that it waited for, in the order of the plan."""

    item: BatchItem
    awaited: tuple[Outcome, ...]


class ItemDefaults(Struct, frozen=True):
    """Settings of a run that all of its items share."""

    record: Record
    """The batch."""
    sandbox: SandboxKind | None
    """The sandbox that the user asked for on the command line."""
    secrets: Secrets
    """Values that no text and no output may hold."""
    counts_by_reading: bool = False
    """Whether the attempts at items that declare their context are counted by what they read: they may start early."""


class _GroupInputs(Struct, frozen=True):
    """The inputs that are found once for all items that are scheduled together."""

    inputs: InputFinder
    manifests: ManifestBuilder
    unwritten: Mapping[str, list[WorkItem]]
    """By output: the open items that no earlier group of the batch has written, in the order of the plan."""


def pending_items(
    planned: Mapping[ItemKey, PlannedItem], group: BatchGroup, already: Mapping[ItemKey, Outcome]
) -> tuple[BatchItem, ...]:
    """Returns the items of a group without those that were ticked since: by hand, or by rewording a checkpoint."""
    ticked = {key for key, (_, item) in planned.items() if item.done}
    return tuple(item for item in group.items if item.key in already or item.key not in ticked)


def schedule_items(
    repo: Repository,
    start: GroupStart,
    defaults: ItemDefaults,
    items: tuple[BatchItem, ...],
    awaited: tuple[Outcome, ...] = (),
) -> Mapping[ItemKey, ScheduledItem | Outcome]:
    """Returns, by key, each of some items, scheduled, or its outcome if it cannot start.

    `awaited` has the outcomes of the items of the group that all of them waited for.
    """
    state, facts = start.project_state, start.facts
    if facts.chosen is None:
        facts.chosen = frozenset(item.output for item in defaults.record.items)
    if facts.unwritten is None:
        facts.unwritten = _find_unwritten(start, defaults.record)
    failed = find_unwritten_files(start, awaited)
    written = frozenset(outcome.item.output for outcome in awaited if outcome.succeeded and outcome.commit)
    shared = _GroupInputs(
        InputFinder(
            *(state.plan, state.project, state.snapshot, failed, facts.chosen),
            written=written - failed.keys(),
            waits=facts.waits,
        ),
        ManifestBuilder(state.plan, state.project, state.snapshot, partial(mark_filtered, repo, state)),
        facts.unwritten,
    )
    return {item.key: _schedule_item(repo, start, item, defaults, shared) for item in items}


def schedule_waiting(
    repo: Repository,
    start: GroupStart,
    defaults: ItemDefaults,
    builder: BaseBuilder,
    waiting: WaitingItem,
) -> ScheduledItem | Outcome:
    """Returns an item that waited for others, now that these have ended, or its outcome if it cannot start."""
    item, awaited = waiting.item, waiting.awaited
    base, state = builder.build(item, awaited), start.project_state
    if base.commit != state.commit:
        snapshot = TreeSnapshot(repo.objects, base.tree)
        state = replace(state, commit=base.commit, tree=base.tree, snapshot=snapshot)
    start = replace(start, project_state=state)
    scheduled = schedule_items(repo, start, defaults, (item,), awaited)[item.key]
    if isinstance(scheduled, Outcome):
        return scheduled
    return replace(scheduled, seen=tuple(o.item.output for o in awaited if o.succeeded))


def find_unwritten_files(start: GroupStart, awaited: tuple[Outcome, ...] = ()) -> Mapping[str, Outcome]:
    """Returns, by output, the last outcomes that left a file unwritten.

    A file is written if the item is ticked by now (by hand), or if a later item has written it.
    """
    if start.facts.ticked is None:
        groups = start.project_state.plan.groups[: start.group.number]
        start.facts.ticked = {
            item.output: group.number for group in groups for item in group.items if item.done
        }
    written = start.facts.ticked
    last = {outcome.item.output: outcome for outcome in (*start.failed, *awaited)}
    return {
        output: outcome
        for output, outcome in last.items()
        if not outcome.succeeded and written.get(output, 0) < _find_group_number(start, outcome.item)
    }


def _find_group_number(start: GroupStart, item: BatchItem) -> int:
    """Returns the number of an item's group in the plan, or as it was when the batch started if the plan lost it."""
    planned = start.planned.get(item.key)
    return planned[0].number if planned else item.group


def _describe_loss(plan: Plan, group: BatchGroup, item: BatchItem) -> str:
    """Returns why the plan does not have an item any more."""
    several = sum(other.output == item.output for other in plan.items)
    if not several:
        return f"it is no longer in {plan.path}"
    return (
        f"it is not known which item of {plan.path} it is now: {format_count(several, 'item')} of other groups "
        f"than “{group.title}” write {item.output}"
    )


def _find_output_problem(
    repo: Repository, start: GroupStart, shared: _GroupInputs, item: WorkItem
) -> tuple[ItemStatus, str] | None:
    """Returns why an item cannot write its output now, with the status that it gets; None if it can."""
    writers = shared.unwritten.get(item.output, ())
    if unwritten := next((other for other in writers if other.group < item.group), None):
        return ItemStatus.BLOCKED, f"it revises {item.output}, which {unwritten.unique_name} did not write"
    if problem := find_path_problem(start.project_state, item.output):
        return ItemStatus.CONFLICTED, f"cannot write the output: {problem}"
    try:
        require_no_filter(repo, start.project_state.tree, item.output)
    except FilteredPathError as error:
        return ItemStatus.FAILED, f"cannot take the output: {error}"
    return None


def _find_unwritten(start: GroupStart, record: Record) -> Mapping[str, list[WorkItem]]:
    """Returns, by output, the open items that no earlier group of the batch has written, in the order of the plan.

    A box may be open although its item succeeded: its line was edited while the item ran.
    """
    failed = {outcome.item.key for outcome in start.failed}
    ran = (each.key for group in record.groups[: record.position_of(start.group) - 1] for each in group.items)
    succeeded = (start.planned[key][1] for key in ran if key not in failed and key in start.planned)
    written = {other.reference for other in succeeded}
    found: dict[str, list[WorkItem]] = {}
    for item in start.project_state.plan.items:
        if not item.done and item.reference not in written:
            found.setdefault(item.output, []).append(item)
    return found


def _schedule_item(
    repo: Repository,
    start: GroupStart,
    batch_item: BatchItem,
    defaults: ItemDefaults,
    shared: _GroupInputs,
) -> ScheduledItem | Outcome:
    state = start.project_state
    found = start.planned.get(batch_item.key)
    if found is None:
        reason = clean_text(_describe_loss(state.plan, start.group, batch_item))
        return Outcome(batch_item, ItemStatus.CANCELLED, reason=reason)
    plan_group, item = found
    missing = shared.inputs.find_missing(item, plan_group)
    table, mode = state.project.config.batch, defaults.record.checkpoint_mode
    if blocking := find_blocking_input(missing, table, mode):
        others = tuple(each for each in missing if each is not blocking)
        reason = clean_text(f"{'required context' if blocking.is_required else 'input'} {blocking}")
        return Outcome(batch_item, ItemStatus.BLOCKED, reason=reason, missing=others)
    if problem := _find_output_problem(repo, start, shared, item):
        status, text = problem
        return Outcome(batch_item, status, reason=clean_text(text))
    hints, config = settings_of(item, plan_group, state.plan), state.project.config
    again = start.reopened.get(batch_item.key)
    agent = (again.agent if again else "") or hints.agent or defaults.record.agent
    if lost := _find_lost_table(state, plan_group, item, agent):
        reason = clean_text(f"{lost} is no longer in gitbatch.toml")
        return Outcome(batch_item, ItemStatus.FAILED, reason=reason)
    reads = defaults.counts_by_reading and not item.reads_earlier
    return ScheduledItem(
        state,
        start.group,
        batch_item,
        plan_group,
        item,
        agent,
        hints.timeout,
        config.batch.retries if hints.retries is None else hints.retries,
        shared.manifests,
        defaults.secrets,
        defaults.sandbox,
        missing,
        reading=_name_reading(state, plan_group, item, shared.manifests) if reads else "",
        reopening=again,
    )


def _name_reading(state: ProjectState, group: Group, item: WorkItem, manifests: ManifestBuilder) -> str:
    given = ((file.path, file.blob) for file in manifests.list_context(item, group))
    config, ignored = state.snapshot.blob(CONFIG_FILE) or "", frozenset(state.project.shared_files)
    return name_reading(given, digest_plan_item(item, group), config, ignored)


def _find_lost_table(state: ProjectState, group: Group, item: WorkItem, agent: str) -> str:
    """Returns the agent or the check of an item that the configuration does not have any more; empty if it has all."""
    config = state.project.config
    checks = item_checks(config, state.plan, group, item)
    lost = next((name for name in checks if name not in config.checks), None)
    if agent not in config.agents:
        return f"agent {agent}"
    return "" if lost is None else f"check {lost}"
