"""The plan as `gitbatch plan` shows it: values for programs, of which `plan_text.py` makes blocks for people."""

from collections.abc import Iterator

from msgspec import Struct

from gitbatch.batch.group.shared_files import criteria_of
from gitbatch.batch.model import CriterionState
from gitbatch.batch.planning.project_state import ProjectView
from gitbatch.batch.planning.schedule import count_at_once, find_critical_path, plan_steps, settings_of
from gitbatch.paths import quote_path
from gitbatch.plan.duration import parse_duration
from gitbatch.plan.model import Group, WorkItem
from gitbatch.project.check_choice import group_gates, item_checks
from gitbatch.project.context import (
    ContextReason,
    find_files,
    find_phase_origins,
    list_context,
    possible_paths,
)
from gitbatch.view.envelope import Envelope


class PlannedFile(Struct, frozen=True):
    """A file that an item's agent reads."""

    path: str
    reason: str
    condensed_from: str | None
    origin: str = ""
    """Where the item has it from, if it does not declare it itself: an item of an earlier group, a document."""
    condensed_by: str = ""
    """The pattern of the configuration by which the condensed form was found."""
    form_not_taken: str = ""
    """Its condensed form, which is not read, as it could be that of several of the item's documents."""


class AbsentFile(Struct, frozen=True):
    """A declared context that is not in the commit yet."""

    path: str
    """As the plan names it."""
    writer: str = ""
    """The item that writes it; empty: none does, up to the group of the item that reads it."""


class AwaitedOutputs(Struct, frozen=True):
    """Outputs of an earlier group that are not in the commit yet."""

    group: int
    title: str
    outputs: int


class PlannedItem(Struct, frozen=True):
    """An item of the plan, with what its agent reads."""

    item: str
    id: str | None
    title: str
    done: bool
    line: int
    criteria: tuple[int, ...]
    agent: str | None
    context: tuple[PlannedFile, ...]
    absent: tuple[AbsentFile, ...]
    """Declared context that is not in the commit yet."""
    awaited: int = 0
    """The number of outputs of earlier groups that it would read as well, but that are not in the commit yet."""
    awaited_from: tuple[AwaitedOutputs, ...] = ()
    """The same, by group."""
    timeout: float | None = None
    """Seconds that an attempt may take; None: the agent is not known yet."""
    attempts: int = 1
    """The most attempts."""
    checks: tuple[str, ...] = ()
    """What its output must pass, in order."""

    @property
    def name(self) -> str:
        """Returns its id, or its path where it has none."""
        return self.id or self.item


class PlannedGroup(Struct, frozen=True):
    """A group of the plan, with the order of its open items."""

    number: int
    title: str
    items: tuple[PlannedItem, ...]
    steps: tuple[tuple[str, ...], ...]
    """The names of the open items in the order in which they run, if each takes the same time."""
    at_once: int
    """How many of its items may run at the same time."""
    gates: tuple[str, ...] = ()
    """What its merged tree must pass, in order."""


class PlannedLimits(Struct, frozen=True):
    """The limits of a batch by the configuration; options of `gitbatch run` override them. None: no limit."""

    max_cost: float | None = None
    """US dollars."""
    max_tokens: int | None = None
    max_output_bytes: int = 0


class PlanState(Envelope, frozen=True):
    """A plan, as `gitbatch plan --json` shows it."""

    plan: str
    commit: str
    """Empty: the plan is as the disk has it."""
    phase: str
    rules: str | None
    status: str
    decisions: str
    context_documents: tuple[str, ...]
    artifacts: tuple[str, ...]
    agents: tuple[str, ...]
    groups: tuple[PlannedGroup, ...]
    criteria: tuple[CriterionState, ...]
    jobs: int
    critical_path: tuple[str, ...]
    """The names of the longest chain of open items that wait for each other."""
    limits: PlannedLimits = PlannedLimits()
    absent: tuple[str, ...] = ()
    """Those of status, decisions and artifacts that do not exist yet: a checkpoint creates them."""


def plan_state(project_state: ProjectView) -> PlanState:
    """Returns what would run, as values."""
    project, plan, blob = project_state.project, project_state.plan, project_state.snapshot.blob
    batch = project.config.batch
    groups = []
    awaited: tuple[AwaitedOutputs, ...] = ()
    for group in plan.groups:
        items = tuple(_plan_item(project_state, group, item, awaited) for item in group.items)
        order = plan_steps(group, plan, batch.jobs)
        named = tuple(tuple(item.name for item in step) for step in order)
        groups.append(
            PlannedGroup(
                number=group.number,
                title=group.title,
                items=items,
                steps=named,
                at_once=count_at_once(group, plan, batch.jobs),
                gates=group_gates(project.config, plan, group),
            )
        )
        earlier = {item.output for before in plan.groups[: group.number - 1] for item in before.items}
        absent = {item.output for item in group.items if not blob(item.output)}
        missing = len(absent - earlier)
        awaited += (AwaitedOutputs(group.number, group.title, missing),) if missing else ()
    return PlanState(
        plan=plan.path,
        commit=project_state.commit,
        phase=project.phase.name,
        rules=project.rules,
        status=project.status,
        decisions=project.decisions,
        context_documents=project.contexts,
        artifacts=project.artifacts,
        agents=tuple(project.config.agents),
        groups=tuple(groups),
        criteria=criteria_of(plan, project_state.source),
        jobs=batch.jobs,
        critical_path=tuple(item.name for item in find_critical_path(plan, batch.jobs)),
        limits=PlannedLimits(batch.max_cost, batch.max_tokens, batch.max_output_bytes),
        absent=tuple(
            path for path in (project.status, project.decisions, *project.artifacts) if not blob(path)
        ),
    )


def _plan_item(
    view: ProjectView, group: Group, item: WorkItem, awaited: tuple[AwaitedOutputs, ...]
) -> PlannedItem:
    project, plan, config = view.project, view.plan, view.project.config
    said = settings_of(item, group, plan)
    agent = said.agent or config.default_agent
    table = config.agents.get(agent or "")
    inherited = awaited if item.reads_earlier else ()
    return PlannedItem(
        item=item.output,
        id=item.id,
        title=item.title,
        done=item.done,
        line=item.line,
        criteria=item.criteria,
        agent=agent,
        context=tuple(_plan_files(view, group, item)),
        absent=tuple(
            AbsentFile(name, _find_writer(view, group, name))
            for name in item.context
            if not find_files(name, project, view.snapshot)
        ),
        awaited=sum(each.outputs for each in inherited),
        awaited_from=inherited,
        timeout=said.timeout or (parse_duration(table.timeout) if table else None),
        attempts=1 + (config.batch.retries if said.retries is None else said.retries),
        checks=item_checks(config, plan, group, item),
    )


def _name_writers(view: ProjectView, groups: int) -> dict[str, str]:
    """Returns the items of the first groups by the paths that they write; of several, the last one."""
    first = view.plan.groups[:groups]
    return {item.output: f"{item.name} of group {group.number}" for group in first for item in group.items}


def _find_writer(view: ProjectView, group: Group, name: str) -> str:
    """Returns the item that writes a declared context; empty if none does."""
    writers = _name_writers(view, group.number)
    paths = possible_paths(name, view.project)
    return next((writers[path] for path in paths if path in writers), "")


def _plan_files(view: ProjectView, group: Group, item: WorkItem) -> Iterator[PlannedFile]:
    """Yields the files that an item reads; those that it does not declare itself with their origin."""
    writers = _name_writers(view, group.number - 1)
    origins = find_phase_origins(group, view.project, view.snapshot)
    for file in list_context(item, group, view.plan, view.project, view.snapshot):
        origin = writers.get(file.condensed_from or file.path, "")
        if file.reason is ContextReason.PHASE:
            origin = origins.get(file.condensed_from or file.path, "")
        yield PlannedFile(
            quote_path(file.path),
            file.reason,
            quote_path(file.condensed_from or "") or None,
            origin,
            file.condensed_by,
            quote_path(file.form_not_taken),
        )
