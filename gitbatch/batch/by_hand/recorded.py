"""The checks and gates that apply to what a history records, by the configuration and the plan of one trusted commit.

What the history itself brings decides nothing: neither its configuration nor its plans, nor the programs that they name.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from msgspec import Struct

from gitbatch.batch.history.given_outputs import OutputsReader
from gitbatch.batch.history.trailers import Kind
from gitbatch.batch.history.verify.graph import History, Ours
from gitbatch.batch.planning.project_state import ProjectState, read_project_state
from gitbatch.batch.verdicts import GateState
from gitbatch.checks.named_paths import find_judges, find_named_paths
from gitbatch.checks.self_read import is_self_read
from gitbatch.checks.tree import TreeContent
from gitbatch.errors import PlanError
from gitbatch.plan.matching import ItemPlace, PlannedItem, match_items
from gitbatch.plan.model import Group, Hints
from gitbatch.plan.titles import slugify
from gitbatch.project.check_choice import group_gates, item_checks, matches_any, matches_group
from gitbatch.project.check_tables import ProgramTable
from gitbatch.project.config import CONFIG_FILE, Config, parse_config
from gitbatch.project.control import PlanChoice
from gitbatch.repo.repository import Repository
from gitbatch.repo.snapshot import TreeSnapshot


class RecordedRun(Struct, frozen=True):
    """One check of an item's commit, or one gate of a checkpoint, that is run again."""

    commit: str
    name: str
    table: ProgramTable
    content: TreeContent
    """Its folder."""
    is_own: bool = False
    """Whether it would load the output by itself: the folder has the base's version of that file."""
    was_red: bool = False
    """Whether a checkpoint records that the gate was red, and was red before the group too."""

    @property
    def output(self) -> str:
        """The path of the item's output; empty: a gate."""
        return self.content.output


@dataclass(slots=True)
class TrustedSource:
    """The commit whose configuration and plans say what is run again."""

    repo: Repository
    commit: str
    _states: dict[str | None, ProjectState | None] = field(default_factory=dict)

    @property
    def snapshot(self) -> TreeSnapshot:
        """The files of the commit."""
        return TreeSnapshot(self.repo.objects, self.repo.objects.tree_of(self.commit))

    def read_config(self) -> Config:
        """Returns its configuration.

        Raises:
            PlanError: it is invalid.
        """
        return parse_config(self.snapshot.read(CONFIG_FILE))

    def find_planned(self, history: History, ours: Ours, outputs: tuple[str, ...]) -> PlannedItem | None:
        """Returns the first of some items of a commit's group that its plan has, with the group; None if it has none."""
        state = self.read_state(history.plan_of(ours))
        if state is None:
            return None
        group = ours.trailers.first_value("Group").partition(" ")[2]
        places = {path: ItemPlace(path, group, ours.trailers.group) for path in outputs}
        return next(iter(match_items(places, state.plan).values()), None)

    def read_state(self, plan: str | None) -> ProjectState | None:
        """Returns the project with a batch's plan; None if the commit has no such plan."""
        if plan not in self._states:
            try:
                self._states[plan] = read_project_state(
                    self.repo, self.commit, PlanChoice(plan, is_recorded=plan is not None)
                )
            except PlanError:
                self._states[plan] = None
        return self._states[plan]


def find_recorded_runs(
    source: TrustedSource, history: History, judged: tuple[Ours, ...]
) -> Iterator[RecordedRun]:
    """Yields the checks of item commits and the gates of checkpoints, in the order of the history.

    Raises:
        PlanError: the configuration is invalid.
    """
    config, outputs = source.read_config(), OutputsReader(source.repo.objects)
    for ours in judged:
        if ours.trailers.kind is Kind.ITEM and len(ours.commit.parents) == 1:
            yield from _find_checks(source, config, history, ours, outputs)
        elif ours.trailers.kind is Kind.CHECKPOINT and ours.trailers.succeeded:
            yield from _find_gates(source, config, history, ours)


def _find_checks(
    source: TrustedSource, config: Config, history: History, ours: Ours, outputs: OutputsReader
) -> Iterator[RecordedRun]:
    output, commit, objects = ours.trailers.output, ours.commit, source.repo.objects
    planned = source.find_planned(history, ours, (output,))
    state = source.read_state(history.plan_of(ours))
    if planned and state:
        names = item_checks(config, state.plan, *planned)
    else:
        names = tuple(name for name, check in config.checks.items() if matches_any(output, check.on))
    entry = objects.find_entry(commit.tree, output)
    for name in names if entry and entry.is_file else ():
        table = config.checks.get(name)
        if table is None:
            continue
        is_own, base = is_self_read(table, output), commit.parents[0]
        paths: tuple[str, ...] | None = None
        if table.checkout == "context":
            reads = outputs.read_context(commit, ours.trailers, history.plan_of(ours))
            named = (path for path in find_named_paths(table) if objects.find_entry(commit.tree, path))
            paths = tuple(dict.fromkeys((output, *reads, *named)))
        content = TreeContent(base if is_own else commit.oid, base, paths, output, entry.oid if entry else "")
        yield RecordedRun(commit.oid, name, table, content, is_own=is_own)


def _find_gates(source: TrustedSource, config: Config, history: History, ours: Ours) -> Iterator[RecordedRun]:
    trailers, commit = ours.trailers, ours.commit
    planned = source.find_planned(history, ours, trailers.succeeded)
    state = source.read_state(history.plan_of(ours))
    if planned and state:
        names = group_gates(config, state.plan, planned[0])
    else:
        title = trailers.first_value("Group").partition(" ")[2]
        group = Group(trailers.group, title, slugify(title), "", (), Hints(), 0)
        names = tuple(name for name, gate in config.gates.items() if matches_group(group, gate.groups))
    red = {verdict.name for verdict in trailers.gates if verdict.state is GateState.RED_BEFORE}
    for name in names:
        if name in config.gates:
            content = TreeContent(commit.oid, _find_below(history, commit.oid))
            yield RecordedRun(commit.oid, name, config.gates[name], content, was_red=name in red)


def _find_below(history: History, checkpoint: str) -> str:
    """Returns the commit that a checkpoint's group was built on: the merges of its items are between them."""
    below = history.parents[checkpoint][0]
    while history.kind_of(below) is Kind.MERGE and below not in history.ends:
        below = history.parents[below][0]
    return below


def find_trusted_files(source: TrustedSource, run: RecordedRun) -> tuple[str, ...]:
    """Returns the files of the trusted commit that judge: the history's own versions of them are not used.

    They are the program, and the rules that the command names; for an output that the check would load by itself, that
    file too. What else a command names may be what it judges, and stays as the history has it.
    """
    judges = (*find_judges(run.table), *((run.output,) if run.is_own else ()))
    wanted = dict.fromkeys(path for path in judges if run.is_own or path != run.output)
    return tuple(path for path in wanted if source.snapshot.blob(path) is not None)
