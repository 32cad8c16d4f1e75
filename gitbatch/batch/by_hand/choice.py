"""The checks that a command line names: by paths, by items, by both, or all of the plan. Pure but for the files it looks for."""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from msgspec import Struct

from gitbatch.batch.planning.project_state import ProjectView
from gitbatch.errors import UsageError
from gitbatch.plan.model import WorkItem
from gitbatch.plan.spelling import nearest
from gitbatch.project.check_choice import item_checks, matches_any
from gitbatch.project.check_tables import CheckTable, GateTable, ProgramTable
from gitbatch.project.manifest import list_context
from gitbatch.text import clean_text

_EDITS = 2


class ChosenCheck(Struct, frozen=True):
    """One check of one output."""

    name: str
    table: CheckTable
    output: str
    reads: tuple[str, ...] = ()
    """The files that its item reads."""


class CheckChoice(Struct, frozen=True):
    """What is to run."""

    checks: tuple[ChosenCheck, ...] = ()
    gates: tuple[tuple[str, GateTable], ...] = ()
    unchecked: tuple[str, ...] = ()
    """Named outputs that have no check."""

    @property
    def programs(self) -> Iterator[tuple[tuple[str, str], ProgramTable]]:
        """Yields the path of the table of each program, and the table."""
        yield from {("checks", check.name): check.table for check in self.checks}.items()
        yield from ((("gates", name), table) for name, table in self.gates)


def choose_checks(
    view: ProjectView, names: tuple[str, ...], gates: tuple[str, ...], folder: str = ""
) -> CheckChoice:
    """Returns the checks of what is named; with no names and no gates, of all outputs of the plan that exist.

    Args:
        view: the project.
        names: paths, relative to `folder`, and ids of items.
        gates: the names of gates.
        folder: the path of the current folder in the repository.

    Raises:
        UsageError: a name is neither a file nor an item, or a gate is not configured.
    """
    chosen = tuple(_choose_gate(view, name) for name in gates)
    if not names:
        there = (item.output for item in view.plan.items if not gates and _exists(view, item))
        return CheckChoice(tuple(_checks_of_all(view, dict.fromkeys(there))), chosen)
    outputs = tuple(dict.fromkeys(_find_output(view, name, folder) for name in names))
    checks = tuple(_checks_of_all(view, outputs))
    unchecked = {check.output for check in checks}.symmetric_difference(outputs)
    return CheckChoice(checks, chosen, tuple(output for output in outputs if output in unchecked))


def _exists(view: ProjectView, item: WorkItem) -> bool:
    return view.snapshot.blob(item.output) is not None


def _find_output(view: ProjectView, name: str, folder: str) -> str:
    """Returns the path of the output that a name is, or that the item of this name has."""
    items = [item for item in view.plan.items if item.id and item.id.casefold() == name.casefold()]
    path = items[0].output if len(items) == 1 else _resolve_path(name, folder)
    if view.snapshot.blob(path) is not None:
        return path
    if items:
        raise UsageError(f"{items[0].name}: its output {path} does not exist", "run it first: gitbatch run")
    known = (item.id for item in view.plan.items if item.id)
    meant = nearest(name, known, _EDITS)
    shown = clean_text(name)
    advice = f"did you mean {meant}?" if meant else "name a file of the repository, or an item by its id"
    raise UsageError(f"{shown} is neither a file here nor an item of the plan", advice)


def _resolve_path(name: str, folder: str) -> str:
    parts: list[str] = []
    for part in PurePosixPath(folder, name).parts:
        if part == ".." and parts:
            parts.pop()
        elif part != "/":
            parts.append(part)
    return "/".join(parts)


def _choose_gate(view: ProjectView, name: str) -> tuple[str, GateTable]:
    gates = view.project.config.gates
    if name not in gates:
        known = ", ".join(gates) or "none"
        raise UsageError(f"gate {clean_text(name)} is not configured", f"gates of gitbatch.toml: {known}")
    return name, gates[name]


def _checks_of_all(view: ProjectView, outputs: Iterable[str]) -> Iterator[ChosenCheck]:
    writers = {item.output: item for item in view.plan.items}
    return (check for output in outputs for check in find_checks(view, output, writers.get(output)))


def find_checks(view: ProjectView, output: str, item: WorkItem | None) -> Iterator[ChosenCheck]:
    """Yields the checks of an output: those of its item, by the plan and the patterns; without one, by the patterns.

    Raises:
        UsageError: the plan names one that is not configured.
    """
    config, plan = view.project.config, view.plan
    if item is None:
        names = tuple(name for name, check in config.checks.items() if matches_any(output, check.on))
        reads: tuple[str, ...] = ()
    else:
        group = plan.groups[item.group - 1]
        names = item_checks(config, plan, group, item)
        context = list_context(item, group, plan, view.project, view.snapshot) if names else ()
        reads = tuple(file.path for file in context)
    for name in names:
        if name not in config.checks:
            raise UsageError(f"check {name} of {output} is not configured", "see gitbatch lint")
        yield ChosenCheck(name, config.checks[name], output, reads)
