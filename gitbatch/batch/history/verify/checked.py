"""Judging what commits say of checks and gates: every one that the project of the base asks for has let them through.

That a check did pass is not judged here, only that the commit says so; `gitbatch verify --checks` runs them again.
"""

from collections.abc import Iterator

from gitbatch.batch.history.verify.graph import History, Ours
from gitbatch.batch.history.verify.rules import Check, Complaints
from gitbatch.batch.history.verify.trees import Trees
from gitbatch.batch.verdicts import GateState
from gitbatch.plan.matching import ItemPlace, PlannedItem, match_items
from gitbatch.plan.model import Plan
from gitbatch.project.check_choice import group_gates, item_checks
from gitbatch.project.config import Config
from gitbatch.text import list_names


def judge_checks(history: History, trees: Trees, ours: Ours) -> Complaints:
    """Yields the checks that the base of an item asks for and that its commit does not have."""
    said = {result.name for result in ours.trailers.checks}
    missing = _asked_checks(history, trees, ours) - said
    if missing:
        yield Check.ITEM_CHECKS, f"does not say that it passed {list_names(tuple(sorted(missing)))}"


def judge_gates(history: History, trees: Trees, ours: Ours, brought: dict[str, str] | None) -> Complaints:
    """Yields what is wrong with the gates of a checkpoint.

    Args:
        history: the history.
        trees: reads its trees.
        ours: the checkpoint.
        brought: the commits of its items, by output; None: a shallow clone lacks some.
    """
    verdicts = ours.trailers.gates
    if any(verdict.tree != ours.commit.tree for verdict in verdicts):
        yield Check.CHECKPOINT_GATES, "has the verdict of a gate on another tree than its own"
    if not brought:
        return
    standing = (
        oid for oid in brought.values() if history.parents[oid]
    )  # one without a parent is judged itself
    bases = (ours.commit.parents[0], *map(history.line_below, standing))
    asked = [_asked_gates(history, trees, ours, base) for base in dict.fromkeys(bases)]
    wanted = set.intersection(*({name for name, _ in gates} for gates in asked))
    must_pass = set.intersection(*({name for name, strict in gates if strict} for gates in asked))
    if missing := wanted - {verdict.name for verdict in verdicts}:
        yield Check.CHECKPOINT_GATES, f"does not say that it passed {list_names(tuple(sorted(missing)))}"
    red = {verdict.name for verdict in verdicts if verdict.state is GateState.RED_BEFORE}
    if blocked := red & must_pass:
        yield (
            Check.CHECKPOINT_GATES,
            f"records a group although {list_names(tuple(sorted(blocked)))} was red, which must pass",
        )


def _asked_checks(history: History, trees: Trees, ours: Ours) -> set[str]:
    """Returns the names of the checks that every possible project of an item's base asks for."""
    found = [
        {name for name in item_checks(config, plan, *planned) if name in config.checks}
        for config, plan, planned in _find_planned(history, trees, ours, history.line_below(ours.commit.oid))
    ]
    return set.intersection(*found) if found else set()


def _asked_gates(history: History, trees: Trees, ours: Ours, base: str) -> set[tuple[str, bool]]:
    """Returns the names of the gates that every possible project of a commit asks for, and whether each must pass."""
    found = [
        {
            (name, config.gates[name].must_pass)
            for name in group_gates(config, plan, group)
            if name in config.gates
        }
        for config, plan, (group, _) in _find_planned(history, trees, ours, base)
    ]
    return set.intersection(*found) if found else set()


def _find_planned(
    history: History, trees: Trees, ours: Ours, base: str
) -> Iterator[tuple[Config, Plan, PlannedItem]]:
    """Yields an item of a commit's group with its group, in each project that a commit may have.

    A project whose plan does not have it is left out: that is another check's finding.
    """
    trailers = ours.trailers
    title = trailers.first_value("Group").partition(" ")[2]
    outputs = (trailers.output,) if trailers.output else trailers.succeeded
    for project in trees.shared_files(base, history.plan_of(ours)).projects:
        if project.config.checks or project.config.gates:
            plan = trees.read_plan_at(base, project)
            places = {path: ItemPlace(path, title, trailers.group) for path in outputs}
            found = next(iter(match_items(places, plan).values()), None)
            if found:
                yield project.config, plan, found
