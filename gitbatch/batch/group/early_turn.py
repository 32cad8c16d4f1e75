"""Planning the turn of a group in which items of later groups may start (rule F2). Runs on the git thread.

Each turn is planned from what git has then, whether this process or an earlier one has run the early items: a resume
differs in nothing. Items that are done early are judged at each turn: only what is current is read by others.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.group.base import BaseBuilder
from gitbatch.batch.group.early_judging import EarlyJudge, list_own
from gitbatch.batch.group.scheduled_items import GroupFacts, GroupStart, ItemDefaults, schedule_items
from gitbatch.batch.history.bases import find_below
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.item.scheduled import ScheduledItem
from gitbatch.batch.model import BatchGroup, BatchItem, Outcome, Record
from gitbatch.batch.planning.early.dependencies import plan_early
from gitbatch.batch.planning.early.eagerness import Eagerness
from gitbatch.batch.planning.early.model import EarlyItem, EarlyPlan, Obstacle, Start
from gitbatch.batch.planning.project_state import ProjectState
from gitbatch.errors import GitbatchError
from gitbatch.plan.item_digest import digest_plan_item
from gitbatch.plan.model import ItemKey, ItemReference
from gitbatch.repo.snapshot import TreeSnapshot


class EarlyContext(Struct, frozen=True):
    """What a turn is planned with."""

    record: Record
    progress: BatchProgress
    """Of the batch, when the turn began."""
    eagerness: Eagerness
    jobs: int
    barred: AbstractSet[ItemKey]
    """The items that do not start early any more: they have been stale once."""


class DoneItem(Struct, frozen=True):
    """An item of the turn, or an early one of a later group, that is done on its branch."""

    start: Start
    outcome: Outcome
    is_current: bool
    """Whether it is taken as it is, as far as that is known now."""


class PlannedTurn(Struct, frozen=True):
    """The turn of a group: what is to run, what may start early, and what is done of that."""

    plan: EarlyPlan
    items: Mapping[ItemReference, tuple[BatchGroup, BatchItem]]
    """The items of the plan, with their groups in the batch."""
    references: Mapping[ItemKey, ItemReference]
    done: tuple[DoneItem, ...]


def plan_turn(judge: EarlyJudge, start: GroupStart, context: EarlyContext) -> PlannedTurn:
    """Returns the turn of a group, planned on the commit that it starts from."""
    own = {item.key: (start.group, item) for item in start.items}
    members = own | {item.key: (group, item) for group, item in _list_later(start.group, context)}
    named = {key: start.planned[key][1].reference for key in members if key in start.planned}
    plan = plan_early(
        start.project_state, context.jobs, frozenset(named.values()), _find_pauses(start, context)
    )
    plan = _hold_back(plan, frozenset(named[key] for key in context.barred if key in named))
    there = {item.reference for item in plan.items}
    references = {key: reference for key, reference in named.items() if reference in there}
    ready = {**context.progress.ready, **start.already}
    done = {
        key: ready[key] for key in references if key in ready and (key not in own or key in start.already)
    }
    stale = judge.judge_all(done.values())
    return PlannedTurn(
        plan,
        {reference: members[key] for key, reference in references.items()},
        references,
        tuple(_describe_done(judge, references, done, stale.keys(), start)),
    )


def can_start_early(state: ProjectState, record: Record) -> bool:
    """Returns true if an item of a batch may start before its group, by the plan of a commit."""
    chosen = frozenset(item.reference for _, item in state.find_items(record).values())
    plan = plan_early(state, record.jobs, chosen)
    return any(plan.find_obstacle(item) is None for item in plan.items)


def _list_later(group: BatchGroup, context: EarlyContext) -> Iterator[tuple[BatchGroup, BatchItem]]:
    """Yields the items of the groups that have no checkpoint yet, without those of the group itself."""
    for other in context.record.groups:
        if other.number != group.number and not context.progress.is_finished(other):
            yield from ((other, item) for item in other.items)


def _find_pauses(start: GroupStart, context: EarlyContext) -> frozenset[int]:
    """Returns the numbers of the groups that nothing may start before the end of."""
    if start.group.revision:  # what follows a review starts when all of it is recorded
        return frozenset({start.group.number})
    if not context.eagerness.stops_at_pauses:
        return frozenset()
    mode, groups = context.record.checkpoint_mode, context.record.groups
    return frozenset(group.number for at, group in enumerate(groups, 1) if mode.pauses_after(at))


def _hold_back(plan: EarlyPlan, barred: AbstractSet[ItemReference]) -> EarlyPlan:
    """Returns the plan with the items that do not start early for reasons of the run."""

    def mark(item: EarlyItem) -> EarlyItem:
        return replace(item, obstacle=item.obstacle or Obstacle.WAIT) if item.reference in barred else item

    return replace(plan, items=tuple(map(mark, plan.items))) if barred else plan


def _describe_done(
    judge: EarlyJudge,
    references: Mapping[ItemKey, ItemReference],
    done: Mapping[ItemKey, Outcome],
    stale: AbstractSet[ItemKey],
    start: GroupStart,
) -> Iterator[DoneItem]:
    """Yields the items that are done, in an order in which what an item reads comes before it."""
    of_commits = {str(outcome.commit): references[key] for key, outcome in done.items()}
    for key, outcome in done.items():
        below = find_below((str(outcome.commit),), judge.reader.direct)
        base = tuple(reference for oid, reference in of_commits.items() if oid in below)
        yield DoneItem(Start(references[key], key not in start.already, base), outcome, key not in stale)


def schedule_early(
    judge: EarlyJudge,
    start: GroupStart,
    defaults: ItemDefaults,
    builder: BaseBuilder,
    waiting: tuple[BatchItem, tuple[Outcome, ...]],
) -> ScheduledItem | None:
    """Returns an item of a later group that starts now; None if it cannot: then it starts in its group's turn.

    Args:
        judge: judges on the commit that the open group started from.
        start: the open group.
        defaults: what all items share.
        builder: builds its base on the commit that the open group started from.
        waiting: the item, and the outcomes of those whose commits its base has, in the order of the plan.
    """
    (item, seen), repo = waiting, judge.repo
    if builder.has_versions(seen):
        return None
    base, state = builder.build(item, seen), start.project_state
    if seen and any(map(repo.objects.lacks_signature, (*(str(o.commit) for o in seen), base.commit))):
        return None
    if base.commit != state.commit:
        snapshot = TreeSnapshot(repo.objects, base.tree)
        state = replace(state, commit=base.commit, tree=base.tree, snapshot=snapshot)
    early = replace(
        start, project_state=state, group=builder.group, already={}, reopened={}, facts=GroupFacts()
    )
    own = tuple(outcome for outcome in seen if outcome.item.group == item.group)
    scheduled = schedule_items(repo, early, defaults, (item,), own)[item.key]
    if isinstance(scheduled, Outcome) or scheduled.missing:
        return None
    plan_item = digest_plan_item(scheduled.item, scheduled.group)
    scheduled = replace(scheduled, plan_item=plan_item, seen=tuple(outcome.item.output for outcome in own))
    return scheduled if _may_start(judge, defaults.record, scheduled, seen) else None


def _may_start(
    judge: EarlyJudge, record: Record, scheduled: ScheduledItem, seen: tuple[Outcome, ...]
) -> bool:
    """Whether an item would be written from what the branch has by now: the user may commit while a group runs."""
    try:
        now = judge.judge_now(record)
    except GitbatchError:  # the turn of the next group says what is wrong
        return False
    if now is judge:
        return True
    state, item = scheduled.project_state, scheduled.item
    context = scheduled.manifests.list_context(item, scheduled.group)
    replaced = list_own(judge.repo.objects, state.tree, item.output)
    read = (*((file.path, file.blob) for file in context), *replaced)
    is_same_phase = now.state.project.phase.name == record.phase
    return is_same_phase and now.may_start(scheduled.key, read, scheduled.plan_item, seen)
