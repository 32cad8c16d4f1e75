"""Judging a checkpoint: it names the items of the merges below it, and changes only shared files."""

from gitbatch.batch.history.trailers import Kind
from gitbatch.batch.history.verify.checked import judge_gates
from gitbatch.batch.history.verify.graph import History, Ours
from gitbatch.batch.history.verify.revision import judge_revision
from gitbatch.batch.history.verify.rules import Check, Complaints
from gitbatch.batch.history.verify.texts import judge_entries, judge_texts
from gitbatch.batch.history.verify.trees import Changes, Trees, format_paths, is_regular
from gitbatch.batch.model import ItemStatus
from gitbatch.guard.shared import SharedFiles
from gitbatch.plan.matching import ItemPlace, match_items
from gitbatch.plan.model import ItemReference, Plan
from gitbatch.project.control import Project
from gitbatch.repo.objects.codec import REGULAR


def judge_checkpoint(history: History, trees: Trees, ours: Ours) -> Complaints:
    """Yields the findings about a checkpoint."""
    commit = ours.commit
    if len(commit.parents) != 1:
        yield Check.CHECKPOINT_PARENT, f"has {len(commit.parents)} parents; a checkpoint has one"
        return
    if history.kind_of(commit.parents[0]) in {Kind.ITEM, Kind.RESCUE}:
        yield Check.CHECKPOINT_PARENT, "its parent is the commit of an item; items come in by merges"
    yield from _judge_number(history, ours)
    brought = find_brought_items(history, ours)
    yield from _judge_items(ours, brought)
    yield from _judge_bases(history, ours, brought or {})
    yield from judge_gates(history, trees, ours, brought)
    yield from _judge_failed(trees, ours, history.plan_of(ours))
    changes = trees.find_changes(commit)
    shared = trees.shared_files(commit.parents[0], history.plan_of(ours))
    yield from _judge_changes(shared, changes)
    projects = shared.projects
    for project in projects:
        if is_regular(changes.paths.get(project.plan_path)) or (
            len(projects) == 1 and project.plan_path not in changes.paths
        ):
            yield from _judge_plan(trees, ours, project, brought)
        yield from judge_texts(trees, ours, project, changes)
        if brought is not None and len(projects) == 1:
            yield from judge_entries(history, trees, ours, project, brought, changes)


def _judge_changes(shared: SharedFiles, changes: Changes) -> Complaints:
    if changes.malformed:
        yield Check.TREE, f"{format_paths(changes.malformed)} is not a folder that git writes"
    if strays := {path for path in changes.paths if not shared.may_write(path)}:
        yield Check.CHECKPOINT_CHANGES, f"changes {format_paths(strays)}, which is not a shared file"
    if broken := {path for path, new in changes.paths.items() if not is_regular(new)} - strays:
        yield (
            Check.CHECKPOINT_CHANGES,
            f"{format_paths(broken)} is not a regular file of mode {REGULAR} any more",
        )
    if shared.projects and not any(project.status in changes.paths for project in shared.projects):
        yield Check.CHECKPOINT_TEXTS, "does not write the status of its batch"


def _judge_number(history: History, ours: Ours) -> Complaints:
    """Checks that each checkpoint and each group of a batch is once on a line, in order, and that their number does not change.

    The checkpoints of the revisions of a group are numbered by themselves, after the group's own.
    """
    number, of = ours.trailers.position
    if number > of:
        yield Check.CHECKPOINT_NUMBER, f"is checkpoint {number} of {of}"
    for what, others in history.checkpoints_like(ours).items():
        if ours.commit.oid in history.lines.find_repeated(other.commit.oid for other in others):
            yield Check.CHECKPOINT_NUMBER, f"its {what} is that of an earlier checkpoint of its batch"
    if ours.trailers.revision:
        yield from judge_revision(history, ours)
    elif earlier := history.last_group_checkpoint(ours.trailers.batch, ours.commit.parents[0]):
        before = history.ours[earlier].trailers
        if before.position[0] >= number or before.group >= ours.trailers.group:
            yield Check.CHECKPOINT_NUMBER, "comes after a later checkpoint, or group, of its batch"
    yield from _judge_batch(history, ours, of)


def _judge_batch(history: History, ours: Ours, of: int) -> Complaints:
    """Checks that a checkpoint says of its batch what the others say."""
    plan = ours.trailers.plan
    if plan and plan != history.plans[ours.trailers.batch]:
        yield Check.CHECKPOINT_NUMBER, f"is of the plan {plan}, and an earlier one of its batch is of another"
    if of != history.checkpoint_counts[ours.trailers.batch]:
        yield (
            Check.CHECKPOINT_NUMBER,
            f"is one of {of} checkpoints; the first of its batch states another number",
        )


def _judge_failed(trees: Trees, ours: Ours, plan: str | None) -> Complaints:
    """Checks that failed items are in the plan, from which only cancelled ones may be gone."""
    planned = trees.planned_outputs(ours.commit.parents[0], plan)
    failed = (item.output for item in ours.trailers.failed if item.status is not ItemStatus.CANCELLED)
    if planned is not None and (unknown := set(failed) - planned):
        yield (
            Check.CHECKPOINT_ITEMS,
            f"says that {format_paths(unknown)} failed, which the plan does not have",
        )


def find_brought_items(history: History, ours: Ours) -> dict[str, str] | None:
    """Returns the items of a group's merges, in order: key → commit. None if a shallow clone ends there."""
    merges = []
    oid = ours.commit.parents[0]
    while (
        (merge := history.ours.get(oid)) and merge.trailers.kind is Kind.MERGE and merge.group == ours.group
    ):
        if oid in history.ends:
            return None
        merges.append(merge)
        oid = merge.commit.parents[0]
    parents = (parent for merge in reversed(merges) for parent in merge.commit.parents[1:])
    return {history.ours[oid].trailers.output: oid for oid in parents if history.kind_of(oid) is Kind.ITEM}


def _judge_bases(history: History, ours: Ours, brought: dict[str, str]) -> Complaints:
    """Checks that what the items of a group stand on is merged with them or before them.

    Otherwise they have read files that the history does not have, and bring commits along that no checkpoint names.
    """
    with_them = frozenset(brought.values())
    for path, oid in brought.items():
        for other in history.direct_items(oid):
            merges = (merge.commit.oid for merge in history.brought_by[other])
            recorded = (merge for merge in merges if merge not in history.bases)
            if other not in with_them and not any(
                history.lines.may_hold(merge, ours.commit.parents[0]) for merge in recorded
            ):
                below = history.ours[other].trailers.output
                yield Check.ITEM_BASE, f"has {path}, which stands on {below}, which is not merged like that"


def _judge_items(ours: Ours, brought: dict[str, str] | None) -> Complaints:
    succeeded, failed = ours.trailers.succeeded, tuple(item.output for item in ours.trailers.failed)
    named = succeeded + failed
    if not named or len(set(named)) != len(named):
        yield Check.CHECKPOINT_ITEMS, "does not name each of its items once"
    if brought is None:
        return
    if lost := set(succeeded) - brought.keys():
        yield (
            Check.CHECKPOINT_ITEMS,
            f"says that {format_paths(lost)} succeeded, but no merge of its group below it has it",
        )
    elif more := brought.keys() - set(succeeded):
        yield (
            Check.CHECKPOINT_ITEMS,
            f"does not say that {format_paths(more)} succeeded, which a merge of its group brings",
        )
    elif succeeded != tuple(brought):
        yield Check.CHECKPOINT_ITEMS, "names its items in another order than its merges"


def _judge_plan(trees: Trees, ours: Ours, project: Project, brought: dict[str, str] | None) -> Complaints:
    """Checks that a plan changes only by one byte for each box that is ticked."""
    first, path = ours.commit.parents[0], project.plan_path
    old, new = trees.read_file(first, path), trees.read_file(ours.commit.oid, path)
    plan = trees.read_plan_at(first, project)
    boxes = {entry.box.offset for entries in (plan.items, plan.criteria) for entry in entries}
    ticked = {at for at in boxes if (old[at : at + 1], new[at : at + 1]) == (b" ", b"x")}
    expected = bytearray(old)
    for at in ticked:
        expected[at] = ord("x")
    if expected != new:
        yield Check.CHECKPOINT_PLAN, f"changes more of {path} than boxes from open to ticked"
        return
    if brought is not None:
        yield from _judge_ticks(trees, ours, project, brought, ticked)
    yield from _judge_criteria(plan, ticked, tick_all=project.config.batch.tick_dod)


def _judge_ticks(
    trees: Trees, ours: Ours, project: Project, brought: dict[str, str], ticked: set[int]
) -> Complaints:
    """Checks that the ticked items are those that the group merged; all of them, unless the plan was edited meanwhile."""
    first, oid = ours.commit.parents[0], ours.commit.oid
    plan_now = trees.entry_at(first, project.plan_path)
    plan = trees.read_plan_at(first, project)
    merged = _match_merged(ours, plan, brought)
    for item in plan.items:
        made = merged.get(item.reference)
        if item.box.offset in ticked:
            if made is None or trees.entry_at(oid, item.output) != trees.entry_at(made, item.output):
                yield (
                    Check.TICK,
                    f"ticks {item.name}, but no merge of its group brings what it has at {item.output}",
                )
        elif made and not item.done and trees.base_entry(made, project.plan_path) == plan_now:
            yield Check.TICK, f"leaves {item.name} open, which a merge of its group brings"


def _match_merged(ours: Ours, plan: Plan, brought: dict[str, str]) -> dict[ItemReference, str]:
    """Returns the commits that a group's merges bring by the items of the plan: a path may be that of several items."""
    title = ours.trailers.first_value("Group").partition(" ")[2]
    places = {path: ItemPlace(path, title, ours.trailers.group) for path in brought}
    found = match_items(places, plan)
    return {item.reference: brought[path] for path, (_, item) in found.items()}


def _judge_criteria(plan: Plan, ticked: set[int], *, tick_all: bool) -> Complaints:
    named = {number for item in plan.items for number in item.criteria}
    to_do = (item for item in plan.items if not item.done and item.box.offset not in ticked)
    complete = named.difference(*(item.criteria for item in to_do))
    for criterion in plan.criteria:
        is_complete = criterion.number in complete
        if criterion.box.offset in ticked and not (is_complete and tick_all):
            yield Check.TICK, f"ticks #{criterion.number} of the Definition of Done before its items"
        if tick_all and is_complete and not criterion.done and criterion.box.offset not in ticked:
            yield (
                Check.TICK,
                f"leaves #{criterion.number} of the Definition of Done open, whose items are done",
            )
