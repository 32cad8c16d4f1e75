"""The plan as `gitbatch plan` shows it: values for programs, of which `plan_text.py` makes blocks for people."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

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
    ContextFile,
    ContextReason,
    find_files,
    find_phase_origins,
    possible_paths,
)
from gitbatch.project.manifest import LISTED, Manifest, ManifestBuilder
from gitbatch.view.early_start import EarlyStart
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


class ReadOutputs(Struct, frozen=True):
    """Outputs of an earlier group that an item reads and that are too many to list for each item."""

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
    """What its agent reads, without the outputs that `reads_from` counts."""
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
    reads_from: tuple[ReadOutputs, ...] = ()
    """The outputs of earlier groups that it reads, by group, if they are more than 50."""

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
    early: EarlyStart | None = None
    """What can start before its group; null: at most one group has open items, or nothing runs at all."""


def plan_state(project_state: ProjectView, early: EarlyStart | None = None) -> PlanState:
    """Returns what would run, as values. `early`: what can start early, as `find_early_start` returns it."""
    project, plan, blob = project_state.project, project_state.plan, project_state.snapshot.blob
    batch = project.config.batch
    inputs = _Inputs.of_view(project_state)
    steps = tuple(plan_steps(group, plan, batch.jobs) for group in plan.groups)
    groups = tuple(
        PlannedGroup(
            number=group.number,
            title=group.title,
            items=tuple(_plan_item(project_state, inputs, group, item) for item in group.items),
            steps=tuple(tuple(item.name for item in step) for step in order),
            at_once=count_at_once(group, plan, batch.jobs),
            gates=group_gates(project.config, plan, group),
        )
        for group, order in zip(plan.groups, steps, strict=True)
    )
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
        groups=groups,
        criteria=criteria_of(plan, project_state.source),
        jobs=batch.jobs,
        critical_path=tuple(item.name for item in find_critical_path(plan, steps)),
        limits=PlannedLimits(batch.max_cost, batch.max_tokens, batch.max_output_bytes),
        absent=tuple(
            path for path in (project.status, project.decisions, *project.artifacts) if not blob(path)
        ),
        early=early,
    )


@dataclass(frozen=True, slots=True)
class _Inputs:
    """The files that the items of a plan read. Those that a group shares are found once."""

    manifests: ManifestBuilder
    writers: Mapping[str, tuple[WorkItem, ...]]
    """The items by the paths that they write, in the order of the plan."""
    awaited: Mapping[int, tuple[AwaitedOutputs, ...]]
    """By group: the outputs of the groups before it that are not in the commit yet."""
    origins: dict[int, Mapping[str, str]] = field(default_factory=dict)
    counts: dict[int, tuple[ReadOutputs, ...]] = field(default_factory=dict)

    @classmethod
    def of_view(cls, view: ProjectView) -> "_Inputs":
        """Returns the inputs in a project state."""
        writers: dict[str, list[WorkItem]] = {}
        for item in view.plan.items:
            writers.setdefault(item.output, []).append(item)
        awaited: dict[int, tuple[AwaitedOutputs, ...]] = {}
        found: tuple[AwaitedOutputs, ...] = ()
        for group in view.plan.groups:
            awaited[group.number] = found
            new = (item.output for item in group.items if writers[item.output][0].group == group.number)
            missing = sum(not view.snapshot.blob(output) for output in dict.fromkeys(new))
            found += (AwaitedOutputs(group.number, group.title, missing),) if missing else ()
        manifests = ManifestBuilder(view.plan, view.project, view.snapshot)
        return cls(manifests, {path: tuple(items) for path, items in writers.items()}, awaited)

    def find_writer(self, path: str, last: int) -> str:
        """Returns the last item of the groups up to a number that writes a path; empty if none does."""
        found = (item for item in reversed(self.writers.get(path, ())) if item.group <= last)
        return next((f"{item.name} of group {item.group}" for item in found), "")

    def find_origin(self, group: Group, path: str, reason: ContextReason) -> str:
        """Returns where an item of a group has a file from that it does not declare itself."""
        if reason is not ContextReason.PHASE:
            return self.find_writer(path, group.number - 1)
        if group.number not in self.origins:
            manifests = self.manifests
            self.origins[group.number] = find_phase_origins(group, manifests.project, manifests.snapshot)
        return self.origins[group.number].get(path, "")

    def count_outputs(self, group: Group, manifest: Manifest) -> tuple[ReadOutputs, ...]:
        """Returns the outputs of earlier groups in a manifest, by group; none if they are few enough to be listed."""
        if len(manifest.earlier.files) <= LISTED:
            return ()
        if group.number not in self.counts:
            groups = self.manifests.plan.groups
            firsts = (self.writers[f.condensed_from or f.path][0] for f in manifest.earlier.files)
            counted = Counter(item.group for item in firsts)
            self.counts[group.number] = tuple(
                ReadOutputs(number, groups[number - 1].title, count)
                for number, count in sorted(counted.items())
            )
        return self.counts[group.number]


def _plan_item(view: ProjectView, inputs: _Inputs, group: Group, item: WorkItem) -> PlannedItem:
    plan, config = view.plan, view.project.config
    said = settings_of(item, group, plan)
    agent = said.agent or config.default_agent
    table = config.agents.get(agent or "")
    inherited = inputs.awaited[group.number] if item.reads_earlier else ()
    manifest = inputs.manifests.list_context(item, group)
    counted = inputs.count_outputs(group, manifest)
    return PlannedItem(
        item=item.output,
        id=item.id,
        title=item.title,
        done=item.done,
        line=item.line,
        criteria=item.criteria,
        agent=agent,
        context=tuple(_plan_file(inputs, group, file) for file in (manifest.own if counted else manifest)),
        absent=tuple(_find_absent(view, inputs, group, item)),
        awaited=sum(each.outputs for each in inherited),
        awaited_from=inherited,
        timeout=said.timeout or (parse_duration(table.timeout) if table else None),
        attempts=1 + (config.batch.retries if said.retries is None else said.retries),
        checks=item_checks(config, plan, group, item),
        reads_from=counted,
    )


def _find_absent(view: ProjectView, inputs: _Inputs, group: Group, item: WorkItem) -> Iterator[AbsentFile]:
    """Yields the declared context that is not in the commit yet."""
    for name in item.context:
        if not find_files(name, view.project, view.snapshot):
            written = (inputs.find_writer(path, group.number) for path in possible_paths(name, view.project))
            yield AbsentFile(name, next(filter(None, written), ""))


def _plan_file(inputs: _Inputs, group: Group, file: ContextFile) -> PlannedFile:
    """Returns a file that an item reads; one that it does not declare itself with its origin."""
    return PlannedFile(
        quote_path(file.path),
        file.reason,
        quote_path(file.condensed_from or "") or None,
        inputs.find_origin(group, file.condensed_from or file.path, file.reason),
        file.condensed_by,
        quote_path(file.form_not_taken),
    )
