"""The settings of gitbatch.toml that are fixed when a batch starts, as lines that can be compared and shown.

A line is a key and its value, nearly as TOML has them. Every key of a table of a name (an agent, a check) is there, with
its default where the file does not have it; of `[batch]`, the settings that differ from their defaults. So to write a
default down changes nothing. All characters but ASCII are escaped: what an agent has
committed cannot control a terminal.
"""

import json
from collections.abc import Iterator

import msgspec

from gitbatch.patterns import compile_later
from gitbatch.project.config import FIXED, Config

_BARE_KEY = compile_later(r"[A-Za-z0-9_-]+")


def fixed_lines(config: Config) -> tuple[str, ...]:
    """Returns the settings of a configuration below `FIXED`, one line for each key, sorted."""
    said, usual = msgspec.to_builtins(config), msgspec.to_builtins(Config())
    changed = ((name, _value_at(said, name)) for name in FIXED)
    return tuple(
        sorted(
            line
            for name, value in changed
            if isinstance(value, dict) or value != _value_at(usual, name)
            for line in _key_lines(name, value)
        )
    )


def diff_lines(before: tuple[str, ...], after: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the differences as `diff` shows them: removed lines with `- `, added ones with `+ `, sorted by key."""
    gone = [(line, f"- {line}") for line in before if line not in after]
    new = [(line, f"+ {line}") for line in after if line not in before]
    return tuple(shown for _, shown in sorted(gone + new, key=lambda pair: pair[0].partition(" = ")[0]))


def _value_at(said: object, name: str) -> object:
    for part in name.split("."):
        said = said.get(part) if isinstance(said, dict) else None
    return said


def _key_lines(name: str, value: object) -> Iterator[str]:
    if not isinstance(value, dict):
        if value is not None:
            yield f"{name} = {json.dumps(value)}"
        return
    for key, inner in value.items():
        part = key if _BARE_KEY.fullmatch(key) else json.dumps(key)
        yield from _key_lines(f"{name}.{part}", inner)
