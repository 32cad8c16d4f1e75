"""The base of every table of the configuration, and the settings that every kind of agent has.

A kind of agent brings its own table: a subclass of `AgentTable` in its own folder (`project/agent_kinds.py`).
"""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import fields

from gitbatch.plan.duration import EXAMPLES, parse_duration
from gitbatch.project.key_values import find_key_paths

Positive = Annotated[int, Meta(ge=1)]
Amount = Annotated[float, Meta(gt=0)]


_PATHS = frozenset({"needs", "writable"})
"""Settings with paths of the machine: names in them may look like keys (`/nix/store/…`)."""


class ConfigTable(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """A table of gitbatch.toml."""

    def find_keys(self) -> Iterator[tuple[str, ...]]:
        """Yields the path of each value, below this table, that looks like a key: it must not be committed."""
        for field in fields(self):
            if field.name not in _PATHS:
                yield from find_key_paths(field.encode_name, getattr(self, field.name))


class AgentTable(ConfigTable, frozen=True, kw_only=True, tag_field="kind"):
    """The settings of an agent. The tag of a subclass is the name of its kind."""

    timeout: str = "30m"
    """Of one attempt."""

    @property
    def is_program(self) -> bool:
        """Whether it is a program, which may work on another machine; else it waits for its server here."""
        return False

    @property
    def secret_variables(self) -> tuple[str, ...]:
        """The names of the environment variables whose values no text and no output may hold."""
        return ()

    def find_output_problem(self, path: str) -> str:  # noqa: ARG002 - a kind may have one
        """Returns why an agent with these settings cannot write an output; empty if it can."""
        return ""

    def find_problems(self) -> Iterator[tuple[str, str | None]]:
        """Yields the name of each setting whose value needs more than its type checked, and its problem or None."""
        yield "timeout", duration_problem(self.timeout)


def duration_problem(duration: str) -> str | None:
    """Returns why a text is not a duration; None if it is one."""
    return None if parse_duration(duration) else f"invalid duration {duration!r} (write it like {EXAMPLES})"


def host_path_problem(path: str) -> str | None:
    """Returns why a text is not a path of this machine that the configuration may name; None if it is one."""
    is_valid = (path == "~" or path.startswith(("/", "~/"))) and "\0" not in path
    return None if is_valid else f"{path!r} is neither an absolute path nor one below ~"
