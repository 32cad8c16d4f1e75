"""The JSON Schemas of what the verbs print with `--json`, and of gitbatch.toml. They are generated from the types.

A schema of an output requires every field, as every field is printed; it allows others, which a later version may add.
The descriptions are the docstrings of the types and of their fields. A new output is one line in `OUTPUTS`.
"""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from pkgutil import resolve_name
from types import MappingProxyType, ModuleType
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from gitbatch.errors import UsageError
from gitbatch.project.agent_kinds import find_kind, kind_names
from gitbatch.project.agent_table import AgentTable
from gitbatch.project.config import Config
from gitbatch.view.envelope import ErrorOutput

JsonObject: TypeAlias = dict[str, Any]
"""A JSON Schema, or a part of one."""

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_REFERENCE = "#/$defs/{name}"
_STATE = "gitbatch.view.batch_state"
_OUTPUTS = "gitbatch.view.outputs"

OUTPUTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "plan": ("gitbatch.view.overview:PlanState",),
        "status": (f"{_STATE}:BatchState", f"{_STATE}:NoBatch", f"{_OUTPUTS}.stale:StaleOutput"),
        "batches": (f"{_OUTPUTS}.batches:BatchesOutput",),
        "show": (f"{_OUTPUTS}.show:ShowOutput",),
        "watch": ("gitbatch.batch.events:Event", f"{_OUTPUTS}.watch:WatchOutput"),
        "logs": ("gitbatch.batch.history.item_log:LogLine", f"{_OUTPUTS}.logs:LogsOutput"),
        "events": ("gitbatch.batch.events:Event", f"{_OUTPUTS}.run:RunOutput"),
        "dry-run": ("gitbatch.view.dry_run:DryRunOutput",),
        "lint": (f"{_OUTPUTS}.lint:LintOutput",),
        "check": (f"{_OUTPUTS}.check:CheckOutput",),
        "report": (f"{_OUTPUTS}.report:ReportOutput",),
        "verify": (f"{_OUTPUTS}.verify:VerifyOutput",),
        "agents": (f"{_OUTPUTS}.agents:AgentsOutput", f"{_OUTPUTS}.agents:TrialOutput"),
        "init": (f"{_OUTPUTS}.init:InitOutput",),
        "review": (f"{_OUTPUTS}.review:ReviewOutput",),
        "retry": (f"{_OUTPUTS}.review:ReviewOutput",),
        "undo": (f"{_OUTPUTS}.review:ReviewOutput",),
        "abort": (f"{_OUTPUTS}.abort:AbortOutput",),
        "rescue": (f"{_OUTPUTS}.rescue:RescueOutput",),
        "gc": (f"{_OUTPUTS}.gc:GcOutput",),
        "cache": (f"{_OUTPUTS}.cache:CacheOutput",),
        "worker": (f"{_OUTPUTS}.worker:WorkerOutput",),
        "hooks": (f"{_OUTPUTS}.hooks:HookOutput",),
        "help": (f"{_OUTPUTS}.help:HelpOutput",),
    }
)
"""The types of what each verb prints besides the envelope of an error; `events`: each line of `run` and `demo`."""

CONFIG = "config"
TITLES: Mapping[str, str] = MappingProxyType(
    {
        CONFIG: "gitbatch.toml",
        "dry-run": "gitbatch run --dry-run --json",
        "watch": "one line of gitbatch watch --json",
        "logs": "one line of gitbatch logs --json",
        "events": "one line of gitbatch run --json or gitbatch demo --json",
    }
)
"""The titles of the schemas that are not of one verb's output."""


def schema_names() -> tuple[str, ...]:
    """Returns the names of all schemas."""
    return (CONFIG, *OUTPUTS)


def describe_schema(name: str) -> str:
    """Returns the title of a schema."""
    return TITLES.get(name, f"gitbatch {name} --json")


def make_schema(name: str) -> JsonObject:
    """Returns the schema with a name.

    Raises:
        UsageError: the name is unknown.
    """
    if name == CONFIG:
        return _make_config_schema()
    if name not in OUTPUTS:
        raise UsageError(f"unknown schema {name!r}", f"schemas: {', '.join(schema_names())}")
    types = (*map(resolve_name, OUTPUTS[name]), ErrorOutput)
    roots, components = _generate(types)
    for component in components.values():
        if "properties" in component:
            component["required"] = list(component["properties"])
    return _head(name) | {"anyOf": list(roots), "$defs": components}


def _make_config_schema() -> JsonObject:
    """Returns the schema of gitbatch.toml, with the table of every kind of agent that is installed."""
    kinds = tuple(kind.table for kind in map(find_kind, kind_names()) if kind)
    (root, *tables), components = _generate((Config, *kinds))
    components["Config"]["properties"]["agents"]["additionalProperties"] = {"anyOf": tables}
    components.pop(AgentTable.__name__, None)
    return _head(CONFIG) | root | {"$defs": components}


def _head(name: str) -> JsonObject:
    return {"$schema": _DRAFT, "title": describe_schema(name)}


def _generate(types: tuple[Any, ...]) -> tuple[tuple[JsonObject, ...], JsonObject]:
    """Returns the schemas of types, and those of the types within them by name, with the descriptions of fields."""
    roots, components = msgspec.json.schema_components(
        types, schema_hook=_describe_text, ref_template=_REFERENCE
    )
    structs = {cls.__name__: cls for cls in _subclasses(Struct)}
    for name, component in components.items():
        if name in structs:
            for key, text in _field_descriptions(structs[name]).items():
                if key in component.get("properties", {}):
                    component["properties"][key].setdefault("description", text)
    return roots, components


def _describe_text(kind: type) -> JsonObject:
    """Returns the schema of a subclass of str, such as the id of an item's commit."""
    if issubclass(kind, str):
        return {"type": "string"}
    raise NotImplementedError


def _subclasses(cls: type) -> Iterator[type]:
    children: list[type] = cls.__subclasses__()
    for child in children:
        if child.__module__.startswith("gitbatch"):
            yield child
        yield from _subclasses(child)


def _field_descriptions(cls: type) -> dict[str, str]:
    """Returns the docstrings of a type's fields by their names in JSON: the strings that follow them in the source."""
    names = {field.name: field.encode_name for field in msgspec.structs.fields(cls)}
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        if base.__module__.startswith("gitbatch"):
            found |= dict(_read_descriptions(base))
    return {names[name]: text for name, text in found.items() if name in names}


def _read_descriptions(cls: type) -> Iterator[tuple[str, str]]:
    module = inspect.getmodule(cls)
    body = _class_body(module, cls.__name__) if module else []
    for field, after in pairwise(body):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            yield field.target.id, re.sub(r"\s+", " ", str(after.value.value)).strip()


def _class_body(module: ModuleType, name: str) -> list[ast.stmt]:
    tree = _parse_module(module)
    return next((node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name), [])


@cache
def _parse_module(module: ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))
