"""The items that each item of a batch has to wait for: those that write what it reads, and those that it names. Pure.

A file that an item reads is one that it declares, the rules, the status, what the phase's documents name, or the condensed
form of one of them, there already or not: an item may write `notes.condensed.md`, which is then read instead of
`notes.md`. A name that may mean several paths counts for all of them, up to the first that exists.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet

from msgspec import Struct, field
from msgspec.structs import replace

from gitbatch.batch.planning.early.doubled import hold_doubled
from gitbatch.batch.planning.early.model import EarlyGroup, EarlyItem, EarlyPlan, Obstacle
from gitbatch.batch.planning.project_state import ProjectView
from gitbatch.batch.planning.schedule import count_at_once, find_items_before
from gitbatch.batch.planning.waits import find_waits
from gitbatch.plan.model import Group, ItemReference, Plan, WorkItem
from gitbatch.project.condensed import list_condensed
from gitbatch.project.context import phase_names, possible_paths
from gitbatch.project.control import Project
from gitbatch.project.snapshot import Snapshot


def plan_early(
    view: ProjectView, jobs: int, chosen: AbstractSet[ItemReference], pauses: AbstractSet[int] = frozenset()
) -> EarlyPlan:
    """Returns the items that are to run, with what each has to wait for.

    Args:
        view: the plan and its files.
        jobs: how many items may run at the same time.
        chosen: the items of the batch, without those that have failed and do not run again.
        pauses: the numbers of the groups after which the batch pauses, and nothing is to start before that.
    """
    plan = view.plan
    left = frozenset(i.reference for i in plan.items if i.reference in chosen and not i.done)
    written = _find_written(plan)
    finder = _WriterFinder(view.project, view.snapshot, written, tuple(sorted(written)))
    places = {item.reference: place for place, item in enumerate(plan.items)}
    ends = _find_end(plan, left) if view.project.config.batch.tick_dod else None
    items, groups = list[EarlyItem](), list[EarlyGroup]()
    for group in plan.groups:
        own = [item for item in group.items if item.reference in left]
        if own:
            waits, of_phase = find_waits(group, plan), finder.find_for_group(group)
            boundary = _find_boundary(group, ends, pauses)
            groups.append(EarlyGroup(group.number, count_at_once(group, plan, jobs), boundary))
            for item in own:
                before = tuple(sorted(find_items_before(waits, item, left), key=places.__getitem__))
                items.append(_describe_item(item, group, finder, of_phase, before, left))
        elif groups and group.hints.barrier:  # nothing of it runs, and still it is between others
            groups[-1] = replace(groups[-1], boundary=groups[-1].boundary or Obstacle.BARRIER)
    return hold_doubled(EarlyPlan(tuple(items), tuple(groups)), plan)


def _find_written(plan: Plan) -> Mapping[str, tuple[tuple[int, ItemReference], ...]]:
    """Returns the open items by the paths that they write, each with its group, in the order of the plan."""
    found: dict[str, list[tuple[int, ItemReference]]] = {}
    for item in plan.items:
        if not item.done:
            found.setdefault(item.output, []).append((item.group, item.reference))
    return {path: tuple(writers) for path, writers in found.items()}


def _find_end(plan: Plan, left: AbstractSet[ItemReference]) -> int | None:
    """Returns the number of the first group with which the Definition of Done can be complete; None: none of them."""
    naming: dict[int, list[WorkItem]] = {}
    for item in plan.items:
        for number in item.criteria:
            naming.setdefault(number, []).append(item)
    last = 0
    for criterion in plan.criteria:
        if not criterion.done:
            open_items = [item for item in naming.get(criterion.number, ()) if not item.done]
            if criterion.number not in naming or any(item.reference not in left for item in open_items):
                return None  # it stays open
            last = max((last, *(item.group for item in open_items)))
    return last if plan.criteria else None


def _find_boundary(group: Group, ends: int | None, pauses: AbstractSet[int]) -> Obstacle | None:
    if ends is not None and group.number >= ends:
        return Obstacle.DEFINITION_OF_DONE
    if group.hints.barrier:
        return Obstacle.BARRIER
    return Obstacle.PAUSE if group.number in pauses else None


def _describe_item(
    item: WorkItem,
    group: Group,
    finder: "_WriterFinder",
    of_phase: tuple[ItemReference, ...],
    waits: tuple[ItemReference, ...],
    left: frozenset[ItemReference],
) -> EarlyItem:
    own = f"{item.group}:"
    named = (reference for reference in (*group.hints.after, *item.hints.after) if reference in left)
    written = (*of_phase, *finder.find_for_item(item))
    reads = (reference for reference in (*written, *named) if reference in left)
    found = dict.fromkeys(reference for reference in reads if not reference.startswith(own))
    obstacle = None
    if item.hints.wait:
        obstacle = Obstacle.WAIT
    elif item.reads_earlier:
        obstacle = Obstacle.NO_CONTEXT
    elif not left.issuperset(written):
        obstacle = Obstacle.MISSING_INPUT
    elif finder.declares_shared_file(item):
        obstacle = Obstacle.SHARED_FILE
    return EarlyItem(item.reference, item.group, tuple(found), waits, obstacle)


class _WriterFinder(Struct, frozen=True):
    """Finds the open items that write what others read. Each name is looked for once."""

    project: Project
    snapshot: Snapshot
    written: Mapping[str, tuple[tuple[int, ItemReference], ...]]
    outputs: tuple[str, ...]
    """The paths that they write, sorted."""
    _of_names: dict[str, tuple[tuple[int, ItemReference], ...]] = field(default_factory=dict)

    def find_for_group(self, group: Group) -> tuple[ItemReference, ...]:
        """Returns the items of earlier groups that write what every item of a group reads (rules C1, C2)."""
        project = self.project
        names = (name for _, name in phase_names(group, project, self.snapshot))
        always = ((path,) for path in (project.rules, project.status) if path)
        found = (
            *(each for documents in always for each in self._find_documents(documents)),
            *(each for name in names for each in self._find_named(name)),
        )
        return tuple(_keep_earlier(found, group.number))

    def find_for_item(self, item: WorkItem) -> tuple[ItemReference, ...]:
        """Returns the items of earlier groups that write what an item declares, or the file that it revises."""
        named = (each for name in item.context for each in self._find_named(name))
        return tuple(_keep_earlier((*named, *self.written.get(item.output, ())), item.group))

    def declares_shared_file(self, item: WorkItem) -> bool:
        """Whether an item declares a file to which each checkpoint may add: all items get the status as it is."""
        written = {self.project.decisions, *self.project.artifacts}
        return any(path in written for name in item.context for path in self._list_documents(name))

    def _find_named(self, name: str) -> tuple[tuple[int, ItemReference], ...]:
        if name not in self._of_names:
            self._of_names[name] = tuple(self._find_documents(self._list_documents(name)))
        return self._of_names[name]

    def _list_documents(self, name: str) -> Iterator[str]:
        """Yields the files that a name may mean, there already or still to be written."""
        for path in possible_paths(name, self.project):
            yield path
            if self.snapshot.blob(path):
                return
            start = bisect_left(self.outputs, f"{path}/")
            for output in self.outputs[start:]:
                if not output.startswith(f"{path}/"):
                    break
                yield output
            inside = self.snapshot.files(path)
            yield from inside
            if inside:
                return

    def _find_documents(self, documents: Iterable[str]) -> Iterator[tuple[int, ItemReference]]:
        """Yields the items that write documents, or what may be their condensed forms."""
        patterns = self.project.config.project.condensed
        for document in documents:
            yield from self.written.get(document, ())
            for form, _ in list_condensed(document, patterns):
                yield from self.written.get(form, ())


def _keep_earlier(found: Iterable[tuple[int, ItemReference]], group: int) -> Iterator[ItemReference]:
    return (reference for number, reference in found if number < group)
