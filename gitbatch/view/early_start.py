"""Early start as `gitbatch plan` shows it: what can start before its group, what that saves, and what keeps the rest."""

from collections import Counter
from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.model import CheckpointMode
from gitbatch.batch.planning.early.dependencies import plan_early
from gitbatch.batch.planning.early.eagerness import EagerMode, choose_eagerness, read_setting
from gitbatch.batch.planning.early.missing_contexts import MissingContext, Savings, estimate_savings
from gitbatch.batch.planning.early.model import EarlyLimits, EarlyPlan, Obstacle
from gitbatch.batch.planning.project_state import ProjectView
from gitbatch.plan.model import ItemReference, WorkItem
from gitbatch.project.config import Config
from gitbatch.text import format_count
from gitbatch.view.block import StyledLine, make_line

_HELD = {
    Obstacle.NO_CONTEXT: "without (context: …)",
    Obstacle.WAIT: "with the hint wait",
    Obstacle.MISSING_INPUT: "that read what is not written",
    Obstacle.SHARED_FILE: "that read what checkpoints write",
    Obstacle.SEVERAL_WRITERS: "that read a file which several items write",
    Obstacle.BARRIER: "behind a barrier",
    Obstacle.DEFINITION_OF_DONE: "behind the group that can complete the Definition of Done",
}
_MODES = {"after-each": "after-each", "after-batch:2": "after-batch:N", "at-end": "at-end"}
"""The checkpoint modes, and what they are called."""
_SHOWN = 3
"""The most groups without contexts that are named to people."""


class EarlyEdges(Struct, frozen=True):
    """An item that can start before its group."""

    group: int
    item: str
    """Its output."""
    after: tuple[str, ...]
    """The names of the items that have to be done first; none: it can start with the batch."""


class HeldItems(Struct, frozen=True):
    """Items that start with their group, for one reason. Those of the first group do not count."""

    reason: str
    items: int


class UndeclaredContext(Struct, frozen=True):
    """Items of a group that declare no context."""

    group: int
    items: tuple[str, ...]
    """Their names."""
    saved: float
    """The part of the simulated time that a run would save if they read no output of an open item: 0.25 is a quarter."""


class EarlyStart(Struct, frozen=True):
    """The items that can start before their group."""

    items: tuple[EarlyEdges, ...]
    held: tuple[HeldItems, ...]
    without: float
    """The simulated time of all open items, group by group; the unit is the mean time of an item."""
    wall_time: float
    """The same with early start, without limit ahead."""
    saved: float
    """The part of the time that early start saves."""
    rounds: int
    """How many simulations with random times the numbers are the mean of; the same for the same plan."""
    missing_contexts: tuple[UndeclaredContext, ...]
    """By group, what costs most first; then the item of the first one that costs most by itself."""
    setting: str = "auto"
    """`batch.eager`."""
    modes: tuple[str, ...] = ()
    """The checkpoint modes in which a run without `--eager` starts items early; up to the next pause if the setting is `auto`."""
    needs_approval: bool = False
    """Whether every item is decided before a run continues after a pause: then nothing starts early over one, whatever is asked for."""


def find_early_start(view: ProjectView) -> EarlyStart | None:
    """Returns what can start before its group; None: at most one group is open, or nothing runs at all."""
    if view.plan.is_complete:
        return None
    jobs = view.project.config.batch.jobs
    named = {item.reference: item for item in view.plan.items}
    plan = plan_early(view, jobs, named.keys())
    savings = estimate_savings(plan, EarlyLimits(jobs))
    if savings is None:
        return None
    setting, modes = view.project.config.batch.eager, tuple(_list_modes(view.project.config))
    found = _describe_start(plan, savings, named)
    approval = view.project.config.review.require_approval
    return replace(found, setting=setting, modes=modes, needs_approval=approval)


def _list_modes(config: Config) -> Iterator[str]:
    """Yields the checkpoint modes in which a run without `--eager` starts items early."""
    for mode, name in _MODES.items():
        chosen = choose_eagerness(
            read_setting(config.batch.eager),
            CheckpointMode.parse(mode),
            has_max_cost=config.batch.max_cost is not None,
            needs_approval=config.review.require_approval,
        )
        if chosen.is_on:
            yield name


def _describe_start(plan: EarlyPlan, savings: Savings, named: Mapping[ItemReference, WorkItem]) -> EarlyStart:
    obstacles = Counter(plan.find_obstacle(item) for item in plan.items)
    places = {reference: place for place, reference in enumerate(named)}
    return EarlyStart(
        tuple(
            EarlyEdges(
                item.group,
                named[item.reference].output,
                tuple(
                    named[other].name for other in sorted((*item.reads, *item.waits), key=places.__getitem__)
                ),
            )
            for item in plan.items
            if plan.find_obstacle(item) is None
        ),
        tuple(HeldItems(obstacle, obstacles[obstacle]) for obstacle in _HELD if obstacles[obstacle]),
        round(savings.without, 2),
        round(savings.wall_time, 2),
        round(savings.saved, 3) + 0.0,  # never -0.0
        savings.rounds,
        tuple(_describe_missing(missing, named) for missing in savings.missing),
    )


def _describe_missing(missing: MissingContext, named: Mapping[ItemReference, WorkItem]) -> UndeclaredContext:
    items = [named[reference] for reference in missing.items]
    return UndeclaredContext(items[0].group, tuple(item.name for item in items), round(missing.saved, 3))


def render_early_start(shown: EarlyStart, jobs: int) -> Iterator[StyledLine]:
    """Yields what can start before its group, for people."""
    held = sum(each.items for each in shown.held)
    count = f"{len(shown.items)} of {format_count(len(shown.items) + held, 'item')} of later groups"
    yield make_line(("\nearly start", "bold"), (f" (times are simulated; {_describe_modes(shown)})", "dim"))
    yield make_line(
        f"{count} can start before their group; with {jobs} at a time: {_format_part(shown.saved)} less time",
        indent=2,
    )
    if shown.held:
        reasons = ", ".join(f"{each.items} {_HELD[Obstacle(each.reason)]}" for each in shown.held)
        yield make_line((f"with their group: {reasons}", "dim"), indent=2)
    for line in _describe_contexts(shown.missing_contexts):
        yield make_line(line, indent=2)


def _describe_modes(shown: EarlyStart) -> str:
    """Returns when a run does this."""
    if shown.setting == EagerMode.OFF:
        return "batch.eager is off: a run does this with --eager on"
    if not shown.modes:
        return "a cost limit is set: a run does this with --eager on"
    if len(shown.modes) == len(_MODES):
        return "a run does this"
    is_auto = shown.setting == "auto"
    until = ", up to the next pause" if is_auto or shown.needs_approval else ""
    until += "; in after-each with --eager on" if is_auto and not shown.needs_approval else ""
    return f"a run does this with --checkpoint {' or '.join(reversed(shown.modes))}{until}"


def _describe_contexts(missing: tuple[UndeclaredContext, ...]) -> Iterator[str]:
    """Yields what the missing contexts cost; the item that costs most with its group, which is the first."""
    groups = [each for at, each in enumerate(missing) if each.group not in {m.group for m in missing[:at]}]
    alone = missing[-1] if len(groups) < len(missing) else None
    for at, each in enumerate(groups[:_SHOWN]):
        who = each.items[0] if len(each.items) == 1 else f"the {len(each.items)} items of group {each.group}"
        most = f"; {alone.items[0]} alone: {_format_part(alone.saved)}" if alone and not at else ""
        yield f"a missing (context: …) costs: {who}, up to {_format_part(each.saved)} of that time{most}"


def _format_part(part: float) -> str:
    return f"{max(part, 0):.0%}".replace("%", " %")
