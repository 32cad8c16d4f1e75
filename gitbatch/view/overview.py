"""The output of `gitbatch plan`: values for programs, blocks for people."""

from collections.abc import Iterator

from msgspec import Struct

from gitbatch.batch.group.shared_files import criteria_of
from gitbatch.batch.model import CriterionState
from gitbatch.batch.planning.project_state import ProjectView
from gitbatch.batch.planning.schedule import count_at_once, find_critical_path, plan_steps, settings_of
from gitbatch.paths import quote_path
from gitbatch.project.context import find_files, list_context
from gitbatch.text import format_count
from gitbatch.view.block import Block, StyledLine, TextTable, make_line
from gitbatch.view.envelope import Envelope
from gitbatch.view.review import render_criteria


class PlannedFile(Struct, frozen=True):
    """A file that an item's agent reads."""

    path: str
    reason: str
    condensed_from: str | None


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
    absent: tuple[str, ...]
    """Declared context that is not in the commit yet."""
    awaited: int = 0
    """The number of outputs of earlier groups that it would read as well, but that are not in the commit yet."""


class PlannedGroup(Struct, frozen=True):
    """A group of the plan, with the order of its open items."""

    number: int
    title: str
    items: tuple[PlannedItem, ...]
    steps: tuple[tuple[str, ...], ...]
    """The names of the open items in the order in which they run, if each takes the same time."""
    at_once: int
    """How many of its items may run at the same time."""


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


def plan_state(project_state: ProjectView) -> PlanState:
    """Returns what would run, as values."""
    project, plan = project_state.project, project_state.plan
    agents = tuple(project.config.agents)
    usual_agent = project.config.batch.agent or (agents[0] if len(agents) == 1 else None)
    groups = []
    awaited = 0
    for group in plan.groups:
        items = tuple(
            PlannedItem(
                item=item.output,
                id=item.id,
                title=item.title,
                done=item.done,
                line=item.line,
                criteria=item.criteria,
                agent=settings_of(item, group, plan).agent or usual_agent,
                context=tuple(
                    PlannedFile(
                        quote_path(file.path), file.reason, quote_path(file.condensed_from or "") or None
                    )
                    for file in list_context(item, group, plan, project, project_state.snapshot)
                ),
                absent=tuple(
                    name for name in item.context if not find_files(name, project, project_state.snapshot)
                ),
                awaited=0 if item.context else awaited,
            )
            for item in group.items
        )
        order = plan_steps(group, plan, project.config.batch.jobs)
        named = tuple(tuple(item.name for item in step) for step in order)
        most = count_at_once(group, plan, project.config.batch.jobs)
        groups.append(PlannedGroup(group.number, group.title, items, named, most))
        awaited += sum(not project_state.snapshot.blob(item.output) for item in group.items)
    return PlanState(
        plan=plan.path,
        commit=project_state.commit,
        phase=project.phase.name,
        rules=project.rules,
        status=project.status,
        decisions=project.decisions,
        context_documents=project.contexts,
        artifacts=project.artifacts,
        agents=agents,
        groups=tuple(groups),
        criteria=criteria_of(plan, project_state.source),
        jobs=project.config.batch.jobs,
        critical_path=tuple(item.name for item in find_critical_path(plan, project.config.batch.jobs)),
    )


def render_plan(shown: PlanState) -> Block:
    """Returns a plan for people: control files, then groups with their items, outputs and what they read."""
    found = {
        "plan": shown.plan if shown.commit else f"{shown.plan} (as the disk has it; a run reads the commit)",
        "phase": shown.phase or "(a project of a single phase)",
        "rules": shown.rules or "(none)",
        "status": shown.status,
        "decisions": shown.decisions,
        "phase context": ", ".join(shown.context_documents) or "(none)",
        "shared artifacts": ", ".join(shown.artifacts) or "(none)",
        "agents": ", ".join(shown.agents) or "(none)",
    }
    parts: list[StyledLine | TextTable] = [
        TextTable(tuple((((name, "dim"),), (value,)) for name, value in found.items()), indent=0)
    ]
    for group in shown.groups:
        limit = (f"  at most {group.at_once} at a time", "dim") if group.at_once < shown.jobs else ""
        parts.append(make_line("\n", (f"group {group.number}", "bold"), f"  {group.title}", limit))
        parts += [part for item in group.items for part in _planned_lines(item)]
        if len(group.steps) > 1:
            parts.append(make_line(f"  order: {' → '.join(' '.join(step) for step in group.steps)}"))
    if shown.critical_path:
        chain = " → ".join(shown.critical_path)
        parts.append(make_line(f"\ncritical path with {shown.jobs} at a time: {chain}"))
    if shown.criteria:
        parts += [make_line(("\nDefinition of Done", "bold")), *render_criteria(shown.criteria)]
    return tuple(parts)


def _planned_lines(item: PlannedItem) -> Iterator[StyledLine]:
    box = "[x]" if item.done else "[ ]"
    yield make_line((f"{box} ", "green" if item.done else ""), (item.title, "bold"), indent=2)
    yield make_line("→ ", (item.item, "cyan"), indent=8)
    if item.criteria or item.agent:
        dod = "".join(f" #{number}" for number in item.criteria)
        said = f"agent {item.agent or '(--agent)'}{', DoD' + dod if dod else ''}"
        yield make_line((said, "dim"), indent=8)
    for file in item.context if not item.done else ():
        raw = f", condensed form of {file.condensed_from}" if file.condensed_from else ""
        yield make_line((f"reads {file.path} ({file.reason}{raw})", "dim"), indent=8)
    for name in item.absent if not item.done else ():
        yield make_line((f"reads {name} (not there yet)", "dim"), indent=8)
    if item.awaited and not item.done:
        outputs = format_count(item.awaited, "output")
        yield make_line((f"reads {outputs} of earlier groups (not there yet)", "dim"), indent=8)
