"""The output of `gitbatch status` and `gitbatch plan`: values for programs, blocks for people."""

from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.events import SCHEMA
from gitbatch.batch.group.shared_files import criteria_of
from gitbatch.batch.history.messages import format_cost, format_rescued, format_tokens, format_usage
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.spending import ItemSpent, sum_spending
from gitbatch.batch.model import BatchGroup, BatchItem, CriterionState, ItemStatus
from gitbatch.batch.planning.project_state import ProjectState
from gitbatch.batch.planning.schedule import count_at_once, find_critical_path, plan_steps, settings_of
from gitbatch.limits.usage import Spent, Usage
from gitbatch.paths import quote_path
from gitbatch.project.context import find_files, list_context
from gitbatch.repo.refs.names import short
from gitbatch.text import format_count
from gitbatch.view.block import Block, Cell, StyledLine, TextTable, make_line
from gitbatch.view.review import STYLES, render_criteria

OPEN = "open"
WAITING = "done, not merged yet"


class ItemState(Struct, frozen=True):
    """An item of a batch: `status` is an `ItemStatus`, or says that it is open, or done and not merged."""

    item: str
    name: str
    group: int
    status: str
    reason: str = ""
    attempts: int = 0
    """Attempts that have ended, failed ones included."""
    spent: Spent | None = None
    """The usage of all attempts; None: unknown."""
    seconds: float = 0.0
    """The time of all attempts."""
    rescued: str = ""
    """The ref that keeps what its last failed attempt had written; empty if nothing is kept."""


class BatchState(Struct, frozen=True):
    """A batch, as `gitbatch status --json` shows it."""

    batch: str
    state: str
    """`unfinished` or `ended`."""
    target: str
    mode: str
    agent: str
    groups: int
    groups_done: int
    items: tuple[ItemState, ...]
    criteria: tuple[CriterionState, ...]
    """The Definition of Done at the tip of the target branch."""
    spent: Spent = Spent()
    """The usage of all items, over all starts; the cost is the sum of the known costs, null if none is known."""
    schema: int = SCHEMA


def batch_state(
    batch: Batch,
    state: BatchProgress,
    criteria: tuple[CriterionState, ...],
    spending: Mapping[str, ItemSpent],
) -> BatchState:
    """Returns the state of a batch as values."""
    found = (_item_state(group, item, state) for group in batch.record.groups for item in group.items)
    items = tuple(
        replace(item, attempts=took.attempts, spent=took.spent, seconds=took.seconds)
        if (took := spending.get(item.item))
        else item
        for item in found
    )
    items = tuple(
        replace(item, rescued=kept.ref) if (kept := state.rescued.get(item.item)) else item for item in items
    )
    return BatchState(
        batch=batch.id,
        state="ended" if batch.ended else "unfinished",
        target=batch.record.target,
        mode=batch.record.mode,
        agent=batch.record.agent,
        groups=len(batch.record.groups),
        groups_done=len(state.finished),
        items=items,
        criteria=criteria,
        spent=sum_spending(spending),
    )


def _item_state(group: BatchGroup, item: BatchItem, state: BatchProgress) -> ItemState:
    failed = next((outcome for outcome in state.failed if outcome.item == item), None)
    if failed:
        return ItemState(item.key, item.name, group.number, failed.status, failed.reason)
    if state.is_finished(group):
        return ItemState(item.key, item.name, group.number, ItemStatus.SUCCEEDED)
    return ItemState(item.key, item.name, group.number, WAITING if item.key in state.ready else OPEN)


def render_batch(shown: BatchState) -> Block:
    """Returns a batch for people."""
    done = sum(item.status == ItemStatus.SUCCEEDED for item in shown.items)
    head = make_line(
        ("batch ", "bold"),
        (shown.batch, "bold"),
        f" ({shown.state}) on {short(shown.target)}: {shown.groups_done} of {format_count(shown.groups, 'group')}, "
        f"{done} of {format_count(len(shown.items), 'item')}",
    )
    used = (make_line(f"used so far: {format_usage(shown.spent)}"),) if shown.spent.usage != Usage() else ()
    return head, TextTable(tuple(map(_item_row, shown.items))), *used, *render_criteria(shown.criteria)


def _item_row(item: ItemState) -> tuple[Cell, ...]:
    style = STYLES[ItemStatus(item.status)] if item.status in set(ItemStatus) else "dim"
    kept = format_rescued(item.rescued)
    said = (item.reason or item.item, (_format_work(item), "dim"), (f"\n{kept}" if kept else "", "dim"))
    return (str(item.group),), ((item.status, style),), (item.name,), said


def _format_work(item: ItemState) -> str:
    """Returns the attempts, time and usage of an item, where there are any to report."""
    parts = [format_count(item.attempts, "attempt")] if item.attempts > 1 else []
    if item.spent and item.spent.usage != Usage():
        parts += [f"{item.seconds:.1f} s", format_tokens(item.spent.usage), format_cost(item.spent)]
    return f"  ({', '.join(parts)})" if parts else ""


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


class PlanState(Struct, frozen=True):
    """A plan, as `gitbatch plan --json` shows it."""

    plan: str
    commit: str
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
    schema: int = SCHEMA


def plan_state(project_state: ProjectState) -> PlanState:
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
        "plan": shown.plan,
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
