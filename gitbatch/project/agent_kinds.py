"""The kinds of agent, by name. A kind is loaded when a configuration names it, and its factory when an item needs it.

A new kind is a folder below `agents/` and one line in `KINDS`; a kind of another distribution is an entry point of
the group `gitbatch.agents` that names an `AgentKind`.
"""

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from msgspec import Struct

from gitbatch.errors import PlanError
from gitbatch.project.agent_table import AgentTable

GROUP = "gitbatch.agents"
KINDS: Mapping[str, str] = MappingProxyType(
    {
        "acp": "gitbatch.agents.acp.table:KIND",
        "anthropic": "gitbatch.agents.anthropic.table:KIND",
        "claude-code": "gitbatch.agents.claude_code.table:KIND",
        "command": "gitbatch.agents.command.table:KIND",
    }
)
"""The kinds that come with gitbatch, each with the module of its `AgentKind`. That module imports nothing heavy."""


class AgentKind(Struct, frozen=True):
    """A kind of agent: the type of its table, and the function that makes an agent of it."""

    table: type[AgentTable]
    factory: str
    """`module:function`, called with the agent's name, its table and the `AgentServices` of the run."""


def find_kind(name: str) -> AgentKind | None:
    """Returns the kind of agent of a name; None if the name is unknown.

    Raises:
        PlanError: the kind is of another distribution, and cannot be loaded.
    """
    if name in KINDS:
        kind: AgentKind = _load_object(KINDS[name])
        return kind
    return _find_installed(name)


def factory_of(table: AgentTable) -> Any:  # noqa: ANN401 - its types are of a folder that imports this one
    """Imports the function that makes an agent of a table (`AgentKind.factory`)."""
    kind = find_kind(str(table.__struct_config__.tag))
    if kind is None:
        raise TypeError(f"a table of no kind: {type(table).__name__}")
    return _load_object(kind.factory)


def kind_names() -> tuple[str, ...]:
    """Returns the names of all kinds, sorted."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - takes long, and is only needed for an error

    return tuple(sorted({*KINDS, *entry_points(group=GROUP).names}))


def _find_installed(name: str) -> AgentKind | None:
    """Returns the kind that an entry point of another distribution names."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - takes long, and is not needed for our own kinds

    for entry in entry_points(group=GROUP, name=name):
        advice = (
            f"update or remove the package that brings it: {entry.dist.name if entry.dist else entry.value}"
        )
        try:
            kind = entry.load()
        except (ImportError, AttributeError) as error:
            raise PlanError(f"agent kind {name!r} cannot be loaded: {error}", advice) from error
        if not isinstance(kind, AgentKind) or kind.table.__struct_config__.tag != name:
            raise PlanError(
                f"agent kind {name!r} is invalid: {entry.value} is not an AgentKind of this name", advice
            )
        return kind
    return None


def _load_object(path: str) -> Any:  # noqa: ANN401 - the caller knows its type
    """Imports the object at a path of the form `module:NAME`."""
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)
