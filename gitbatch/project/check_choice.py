"""The checks that an item gets, and the gates of a group: by the plan where it names some, else by patterns.

The nearest place that says something decides alone: the item, its group, the plan, the patterns of the configuration.
Names of the plan that are not configured stay in the result; `find_unknown_checks` finds them before a batch starts.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase

from gitbatch.plan.model import Group, Plan, WorkItem
from gitbatch.project.config import Config
from gitbatch.project.path_patterns import compile_pattern


def item_checks(config: Config, plan: Plan, group: Group, item: WorkItem) -> tuple[str, ...]:
    """Returns the names of the checks that the output of an item must pass, in the order of the configuration."""
    said = _nearest(hints.checks for hints in (item.hints, group.hints, plan.hints))
    if said is not None:
        return _in_order(said, config.checks)
    return tuple(name for name, check in config.checks.items() if matches_any(item.output, check.on))


def item_reviewers(config: Config, plan: Plan, group: Group, item: WorkItem) -> frozenset[str]:
    """Returns the names of the agents that review the output of an item."""
    checks = (config.checks.get(name) for name in item_checks(config, plan, group, item))
    return frozenset(check.agent for check in checks if check and check.agent is not None)


def group_gates(config: Config, plan: Plan, group: Group) -> tuple[str, ...]:
    """Returns the names of the gates that a group must pass, in the order of the configuration."""
    said = _nearest(hints.gates for hints in (group.hints, plan.hints))
    if said is not None:
        return _in_order(said, config.gates)
    return tuple(name for name, gate in config.gates.items() if matches_group(group, gate.groups))


def matches_any(path: str, patterns: Iterable[str]) -> bool:
    """Returns whether a repository path has the form of one of some patterns (see `path_patterns.py`)."""
    return any(compile_pattern(pattern).fullmatch(path) for pattern in patterns)


def matches_group(group: Group, patterns: Iterable[str]) -> bool:
    """Returns whether a group's title, slug or number has the form of one of some patterns; case does not matter."""
    names = (group.title.casefold(), group.slug, str(group.number))
    return any(fnmatchcase(name, pattern.casefold()) for pattern in patterns for name in names)


def _nearest(said: Iterable[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    return next((names for names in said if names is not None), None)


def _in_order(names: tuple[str, ...], known: Iterable[str]) -> tuple[str, ...]:
    order = {name: at for at, name in enumerate(known)}
    return tuple(sorted(names, key=lambda name: order.get(name, len(order))))
