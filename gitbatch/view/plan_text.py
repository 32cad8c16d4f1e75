"""The output of `gitbatch plan` for people: whole, or with a line for each group."""

from collections.abc import Iterable, Iterator

from gitbatch.limits.usage import format_dollars
from gitbatch.patterns import compile_later
from gitbatch.project.context import ContextReason
from gitbatch.text import format_count, format_seconds, format_size
from gitbatch.view.block import Block, Cell, StyledLine, TextTable, make_line
from gitbatch.view.early_start import render_early_start
from gitbatch.view.overview import (
    AwaitedOutputs,
    PlannedFile,
    PlannedGroup,
    PlannedItem,
    PlanState,
    ReadOutputs,
)
from gitbatch.view.review import render_criteria

_FOR_ALL = frozenset({ContextReason.RULES, ContextReason.STATUS})
"""What every item reads: it is shown once, at the top."""
_NUMBERED = compile_later(r"(.*?)([0-9]{1,9})")
_RANGE = 3
"""The fewest ids that are shown as a range."""
_GROUPS = 5
"""The most groups whose outputs have a line each under every item that reads them."""


def render_plan(shown: PlanState) -> Block:
    """Returns a plan for people: control files, then groups with their items, outputs and what they read."""
    parts: list[StyledLine | TextTable] = [_render_head(shown)]
    early = {(each.group, each.item): each.after for each in (shown.early.items if shown.early else ())}
    for group in shown.groups:
        limit = (f"  at most {group.at_once} at a time", "dim") if group.at_once < shown.jobs else ""
        parts.append(make_line("\n", (f"group {group.number}", "bold"), f"  {group.title}", limit))
        if group.gates:
            parts.append(make_line((_name_judges("gate", group.gates), "dim"), indent=2))
        parts += [
            part for item in group.items for part in _item_lines(item, early.get((group.number, item.item)))
        ]
        if len(group.steps) > 1:
            parts.append(make_line(f"  order: {' → '.join(' '.join(step) for step in group.steps)}"))
    if shown.critical_path:
        chain = " → ".join(shown.critical_path)
        parts.append(make_line(f"\ncritical path with {shown.jobs} at a time: {chain}"))
    if shown.early:
        parts += render_early_start(shown.early, shown.jobs)
    if shown.criteria:
        parts += [make_line(("\nDefinition of Done", "bold")), *render_criteria(shown.criteria)]
    return tuple(parts)


def render_brief_plan(shown: PlanState) -> Block:
    """Returns a plan with a line for each group, in which ids that follow each other are a range."""
    rows = tuple(_brief_row(group) for group in shown.groups)
    items = [item for group in shown.groups for item in group.items]
    left = sum(not item.done for item in items)
    title = f"{format_count(len(items), 'item')} in {format_count(len(rows), 'group')}, {left} open"
    steps = format_count(len(shown.critical_path), "step")
    sums = f"{shown.jobs} at a time; the longest chain has {steps}"
    return (
        make_line((shown.plan, "bold"), f": {title}"),
        TextTable(rows, is_cut=True),
        make_line((f"{sums}; all of it: gitbatch plan", "dim")),
    )


def _brief_row(group: PlannedGroup) -> tuple[Cell, ...]:
    left = [item for item in group.items if not item.done]
    agents = ", ".join(dict.fromkeys(item.agent or "(--agent)" for item in left))
    count = f"{len(left)} of {len(group.items)} open" if left else "done"
    names = " ".join(shorten_names(item.name for item in left))
    return (str(group.number),), (group.title,), ((count, "" if left else "green"),), (agents,), (names,)


def shorten_names(names: Iterable[str]) -> Iterator[str]:
    """Yields names, with a range for several that differ by a number which counts up: T101..T104."""
    run: list[str] = []
    for name in names:
        if run and not _follows(run[-1], name):
            yield from _shorten_run(run)
            run = []
        run.append(name)
    yield from _shorten_run(run)


def _follows(before: str, name: str) -> bool:
    one, two = _NUMBERED.fullmatch(before), _NUMBERED.fullmatch(name)
    if one is None or two is None:
        return False
    return one[1] == two[1] and len(one[2]) == len(two[2]) and int(one[2]) + 1 == int(two[2])


def _shorten_run(run: list[str]) -> list[str]:
    return run if len(run) < _RANGE else [f"{run[0]}..{run[-1]}"]


def _render_head(shown: PlanState) -> TextTable:
    """Returns the control files that were found, or that the run will write, and the limits."""
    found = {
        "plan": shown.plan if shown.commit else f"{shown.plan} (as the disk has it; a run reads the commit)",
        "phase": shown.phase or "(a project of a single phase)",
        "rules": _describe_base(shown.rules, shown) if shown.rules else "",
        "status": _describe_base(shown.status, shown),
        "decisions": _describe_shared(shown.decisions, shown),
        "phase context": ", ".join(shown.context_documents),
        "shared artifacts": ", ".join(_describe_shared(path, shown) for path in shown.artifacts),
        "agents": ", ".join(shown.agents) or "(none)",
        "limits": ", ".join(_format_limits(shown)),
    }
    rows = (((((name, "dim"),), (value,))) for name, value in found.items() if value)
    return TextTable(tuple(rows), indent=0)


def _describe_base(path: str, shown: PlanState) -> str:
    """Returns a file that every item reads, in the form in which they read it."""
    files = (file for group in shown.groups for item in group.items for file in item.context)
    condensed = next((file for file in files if file.condensed_from == path), None)
    if path in shown.absent:
        return _describe_shared(path, shown)
    if condensed is None:
        return f"{path} (every item reads it)"
    return f"{condensed.path} (every item reads it{_describe_form(condensed)})"


def _describe_shared(path: str, shown: PlanState) -> str:
    return f"{path} (not there yet: a checkpoint creates it)" if path in shown.absent else path


def _format_limits(shown: PlanState) -> Iterator[str]:
    limits = shown.limits
    yield f"{shown.jobs} at a time"
    if limits.max_cost is not None:
        yield f"{format_dollars(limits.max_cost)} for a batch"
    if limits.max_tokens is not None:
        yield f"{limits.max_tokens:,} tokens for a batch"
    yield f"{format_size(limits.max_output_bytes)} for an output"


def _describe_early(after: tuple[str, ...]) -> str:
    """Returns from when on an item can start before its group."""
    return f"can start early: after {' '.join(shorten_names(after))}" if after else "can start at once"


def _item_lines(item: PlannedItem, after: tuple[str, ...] | None) -> Iterator[StyledLine]:
    """Yields an item. `after`: the items that it reads, if it can start before its group."""
    box = "[x]" if item.done else "[ ]"
    yield make_line((f"{box} ", "green" if item.done else ""), (item.title, "bold"), indent=2)
    yield make_line("→ ", (item.item, "cyan"), indent=8)
    if item.done:
        return
    yield make_line((", ".join(_describe_item(item)), "dim"), indent=8)
    for file in item.context:
        if file.reason not in _FOR_ALL:
            yield make_line((f"reads {file.path} ({_describe_file(file)})", "dim"), indent=8)
    for absent in item.absent:
        writer = f": {absent.writer} writes it" if absent.writer else ""
        yield make_line((f"reads {absent.path} (not there yet{writer})", "dim"), indent=8)
    for outputs in _describe_outputs(item.reads_from):
        yield make_line((f"reads {outputs}", "dim"), indent=8)
    for outputs in _describe_outputs(item.awaited_from):
        yield make_line((f"reads {outputs} (not there yet)", "dim"), indent=8)
    if after is not None:
        yield make_line((_describe_early(after), "dim"), indent=8)


def _describe_outputs(counted: tuple[AwaitedOutputs | ReadOutputs, ...]) -> Iterator[str]:
    """Yields the outputs of earlier groups, by group; those of many groups in one line."""
    if len(counted) > _GROUPS:
        together = format_count(sum(each.outputs for each in counted), "output")
        yield f"{together} of {len(counted)} groups, {counted[0].group} to {counted[-1].group}"
        return
    for each in counted:
        yield f"{format_count(each.outputs, 'output')} of group {each.group} “{each.title}”"


def _describe_item(item: PlannedItem) -> Iterator[str]:
    yield f"agent {item.agent or '(--agent)'}"
    attempts = format_count(item.attempts, "attempt")
    yield attempts if item.timeout is None else f"{attempts} of at most {format_seconds(item.timeout)}"
    if item.criteria:
        yield "DoD" + "".join(f" #{number}" for number in item.criteria)
    if item.checks:
        yield _name_judges("check", item.checks)


def _name_judges(kind: str, names: tuple[str, ...]) -> str:
    """Returns checks or gates by their names."""
    return f"{kind}{'s' * (len(names) > 1)} {' '.join(names)}"


def _describe_file(file: PlannedFile) -> str:
    origin = f": {file.origin}" if file.origin else ""
    return f"{file.reason}{origin}{_describe_form(file)}"


def _describe_form(file: PlannedFile) -> str:
    """Returns which form of a document is read and why; empty if the document has only one."""
    if file.condensed_from:
        return f", condensed form of {file.condensed_from} by the pattern “{file.condensed_by}”"
    if file.form_not_taken:
        return f", raw: {file.form_not_taken} could be the condensed form of several of its files"
    return ""
