"""Finding what an item is meant to read and does not get (rules P4, C3): no input is left out without a word.

A file that an item declares as context is required: without it, the item is blocked. Any other missing input is named in
the prompt and at the checkpoint; `batch.on-missing` says whether the item starts all the same.
"""

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct, field

from gitbatch.batch.model import CheckpointMode, ItemStatus, Outcome, PauseMode
from gitbatch.batch.planning.waits import Waits, find_waits
from gitbatch.patterns import compile_later
from gitbatch.plan.model import Group, Plan, WorkItem
from gitbatch.project.config import BatchTable
from gitbatch.project.context import (
    InputProblem,
    MissingInput,
    find_files,
    has_form,
    phase_names,
    possible_paths,
)
from gitbatch.project.control import Project
from gitbatch.project.snapshot import Snapshot
from gitbatch.text import CleanText, clean_text

_REASON = 200
"""Characters of a failure's reason."""
_WHY = compile_later(rf" \((?:{'|'.join(ItemStatus)}): ")
_PATH = compile_later(r"(?!.*://).*(?:/|\.[A-Za-z][A-Za-z0-9]{0,7}$)")
"""A name in a context document that can only be a path."""


def find_blocking_input(
    missing: tuple[MissingInput, ...], table: BatchTable, mode: CheckpointMode
) -> MissingInput | None:
    """Returns the input for lack of which an item does not start, or None."""
    policy = table.on_missing or ("block" if mode.pause is PauseMode.AT_END else "tell")
    return next(
        (each for each in missing if each.is_required or (each.is_failure and policy == "block")), None
    )


class InputFinder(Struct, frozen=True):
    """Finds the missing inputs of the items of a plan in one commit. What the items of a group share is found once."""

    plan: Plan
    project: Project
    snapshot: Snapshot
    failed: Mapping[str, Outcome]
    """The outcomes, by output, of items of the batch that did not succeed."""
    chosen: frozenset[str]
    """The outputs of the items of the batch."""
    written: frozenset[str] = frozenset()
    """Outputs that are known to be in the commit."""
    waits: dict[int, Waits] = field(default_factory=dict)
    """Who waits for whom, by the numbers of groups. May be shared by finders of the same plan."""
    _of_groups: dict[int, tuple[MissingInput, ...]] = field(default_factory=dict)
    _of_phases: dict[int, tuple[tuple[tuple[str, ...], MissingInput], ...]] = field(default_factory=dict)

    def find_missing(self, item: WorkItem, group: Group) -> tuple[MissingInput, ...]:
        """Returns what an item is meant to read and does not get, each file once."""
        found = (
            *self._find_declared(item, group),
            *self._find_named_by_phase(item, group),
            *(self._find_earlier(group) if item.reads_earlier else ()),
            *self._find_waited_for(item, group),
        )
        first = {missing.path: missing for missing in reversed(found)}  # declared is what counts
        return tuple(missing for missing in first.values() if missing.path != item.output)[::-1]

    def _find_named_by_phase(self, item: WorkItem, group: Group) -> Iterator[MissingInput]:
        """Yields the missing files that the phase's documents name for a group, without the item's own."""
        if group.number not in self._of_phases:
            self._of_phases[group.number] = tuple(self._read_phase(group))
        yield from (missing for paths, missing in self._of_phases[group.number] if item.output not in paths)

    def _read_phase(self, group: Group) -> Iterator[tuple[tuple[str, ...], MissingInput]]:
        """Yields the missing files that the phase's rules and context documents name (rule C2), after their paths."""
        for document, name in phase_names(group, self.project, self.snapshot):
            paths = possible_paths(name, self.project)
            found = find_files(name, self.project, self.snapshot)
            failures = tuple(self._find_failures(found or paths, is_there=bool(found)))
            yield from ((paths, failure) for failure in failures)
            if not (found or failures) and _PATH.match(name):
                reason = clean_text(f"named in {document}")
                yield paths, MissingInput(name, InputProblem.NOT_FOUND, reason)

    def _find_declared(self, item: WorkItem, group: Group) -> Iterator[MissingInput]:
        """Yields the missing files that an item declares. Those of a declared folder are not required."""
        for name in item.context:
            paths = possible_paths(name, self.project)
            found = find_files(name, self.project, self.snapshot)
            is_folder = bool(found) and not set(found) & set(paths)
            inside = (path for path in self.failed if path.startswith(tuple(f"{path}/" for path in paths)))
            failures = (
                *self._find_failures(inside, is_there=False, is_required=not found),
                *(
                    ()
                    if is_folder
                    else self._find_failures(found or paths, is_there=bool(found), is_required=True)
                ),
            )
            yield from failures
            if not found and not failures and not self._is_awaited(paths, group):
                reason = clean_text("it is not in the commit")
                yield MissingInput(name, InputProblem.NOT_FOUND, reason, is_required=True)

    def _find_earlier(self, group: Group) -> tuple[MissingInput, ...]:
        """Returns the missing outputs of the groups before a group (rule C3)."""
        if group.number not in self._of_groups:
            before = (item for other in self.plan.groups[: group.number - 1] for item in other.items)
            self._of_groups[group.number] = tuple(filter(None, map(self._judge_output, before)))
        return self._of_groups[group.number]

    def _find_waited_for(self, item: WorkItem, group: Group) -> Iterator[MissingInput]:
        """Yields the missing outputs of the items of the same group that an item waits for."""
        if group.number not in self.waits:
            self.waits[group.number] = find_waits(group, self.plan)
        waits = self.waits[group.number]
        if waits.has_any(item):
            others = waits.mark_items(lambda other: other.output not in self.written)
            yield from filter(None, map(self._judge_output, waits.find_all(item, others)))

    def _judge_output(self, item: WorkItem) -> MissingInput | None:
        """Returns why the output of an item is missing; None: it is there, or its item is still to run."""
        if item.output not in self.failed and self.snapshot.blob(item.output):  # as of most: asked first
            return None
        is_there = has_form(item.output, self.project, self.snapshot)
        failure = next(self._find_failures((item.output,), is_there=is_there), None)
        if failure or is_there:
            return failure
        if item.done:
            reason = f"{item.name} is ticked, but the file is not in the commit"
            return MissingInput(item.output, InputProblem.NOT_FOUND, clean_text(reason))
        if item.output in self.chosen:
            return None
        reason = f"{item.name} is open and not part of this batch"
        return MissingInput(item.output, InputProblem.NOT_CHOSEN, clean_text(reason))

    def _find_failures(
        self, paths: Iterable[str], *, is_there: bool, is_required: bool = False
    ) -> Iterator[MissingInput]:
        """Yields the paths that an item of the batch should have written. An older version that is done suffices."""
        problem = InputProblem.NOT_UPDATED if is_there else InputProblem.NOT_WRITTEN
        for path in paths:
            outcome = self.failed.get(path)
            if outcome:
                needed = is_required and not (is_there and self._has_done_writer(path))
                yield MissingInput(path, problem, _describe_outcome(outcome), needed)

    def _has_done_writer(self, path: str) -> bool:
        return any(item.done and item.output == path for item in self.plan.items)

    def _is_awaited(self, paths: tuple[str, ...], group: Group) -> bool:
        """Whether an open item of the same group, which is part of the batch, writes one of some paths."""
        return any(
            item.output in paths and item.output in self.chosen and not item.done for item in group.items
        )


def _describe_outcome(outcome: Outcome) -> CleanText:
    """Returns why an item did not succeed; of one that was blocked, which input it lacked, and not why."""
    reason = (
        _WHY.split(outcome.reason, maxsplit=1)[0] if outcome.status is ItemStatus.BLOCKED else outcome.reason
    )
    return clean_text(f"{outcome.status}: {reason}", _REASON)
