"""Adding an agent to gitbatch.toml from a template, by an edit that keeps everything else byte for byte."""

import os
import re
import stat
from collections.abc import Iterator
from enum import StrEnum
from itertools import count
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.errors import PlanError, UsageError
from gitbatch.fs.durable import write_file
from gitbatch.patterns import compile_later
from gitbatch.plan.help_texts import Language
from gitbatch.project.config import CONFIG_FILE, Config, parse_config

PRESETS = ("claude", "opencode", "gemini", "qwen", "codex")
"""The programs that the kind `acp` knows."""
_NAMES = {"claude-code": "claude", "anthropic": "claude", "command": "writer", "acp": "claude-acp"}
"""The names of agents that are not called as their word."""
AGENT_WORDS = (
    *("claude-code", "codex", "opencode", "gemini", "qwen", "anthropic", "command", "acp"),
    *(f"acp:{preset}" for preset in PRESETS),
)
"""The words for `gitbatch init --agent`. `acp` alone is `acp:claude`."""

_TEMPLATES = Path(__file__).parent / "templates"
_BATCH = compile_later(r"^[ \t]*\[[ \t]*batch[ \t]*\][^\n]*\n?", re.MULTILINE)
_AGENT_COMMENT = compile_later(r'^# agent = "[^"\n]*"[^\n]*$', re.MULTILINE)


class AgentChange(StrEnum):
    """What was done to add an agent."""

    ADDED = "added"
    KEPT = "kept"
    """The configuration has this agent already."""
    BY_HAND = "by-hand"
    """The file cannot be changed by an edit: the user has to add the table."""


class AddedAgent(Struct, frozen=True):
    """An agent that was to be added to gitbatch.toml."""

    name: str
    change: AgentChange
    default: str
    """The agent that works on items that name none: `batch.agent`."""
    table: str
    """The text of its table."""
    source: bytes = b""
    """The new text of gitbatch.toml, if it is added."""


def require_agent_word(word: str) -> str:
    """Returns a word for an agent.

    Raises:
        UsageError: it is not one of `AGENT_WORDS`.
    """
    if word not in AGENT_WORDS:
        raise UsageError(f"unknown agent {word!r}", f"use one of: {', '.join(AGENT_WORDS)}")
    return word


def render_agent_table(word: str, name: str, language: Language) -> str:
    """Returns the table of an agent as TOML, with comments.

    Args:
        word: one of `AGENT_WORDS`.
        name: of the agent.
        language: of the comments.
    """
    kind, _, preset = word.partition(":")
    text = (_TEMPLATES / language / "agents" / f"{kind}.toml").read_text(encoding="utf-8")
    return text.replace("{name}", name).replace("{preset}", preset or PRESETS[0])


def add_agent(source: bytes, word: str, language: Language, *, is_new: bool) -> AddedAgent:
    """Adds an agent to the text of gitbatch.toml, and makes it the default if there is not one yet.

    Args:
        source: the text.
        word: one of `AGENT_WORDS`.
        language: of the comments.
        is_new: the text is our own template, whose examples are replaced.

    Raises:
        PlanError: the text is not a valid configuration.
    """
    config = parse_config(source)
    usual = _usual_name(word)
    wanted = parse_config(render_agent_table(word, usual, language).encode()).agents[usual]
    present = config.agents.get(usual)
    if present is not None and type(present) is type(wanted) and _is_same_program(present, wanted):
        return AddedAgent(usual, AgentChange.KEPT, config.batch.agent or usual, "")
    name = next(name for name in _free_names(usual) if name not in config.agents)
    table = render_agent_table(word, name, language)
    default = config.batch.agent or name
    changed = _edit_text(
        source.decode("utf-8-sig"), table, name if config.batch.agent is None else "", is_new=is_new
    )
    expected = replace(
        config, batch=replace(config.batch, agent=default), agents={**config.agents, name: wanted}
    )
    if _parse_quietly(changed) != expected:
        return AddedAgent(name, AgentChange.BY_HAND, default, table)
    mark = b"\xef\xbb\xbf" if source.startswith(b"\xef\xbb\xbf") else b""
    return AddedAgent(name, AgentChange.ADDED, default, table, mark + changed.encode())


def add_agent_on_disk(root: Path, word: str, language: Language, *, is_new: bool) -> AddedAgent:
    """Adds an agent to the gitbatch.toml of a project, which exists.

    Raises:
        PlanError: it is not a valid configuration.
    """
    path = root / CONFIG_FILE
    added = add_agent(path.read_bytes(), word, language, is_new=is_new)
    if added.change is not AgentChange.ADDED:
        return added
    if path.is_symlink() or not os.access(path, os.W_OK):
        return replace(added, change=AgentChange.BY_HAND, source=b"")
    write_file(path, added.source, stat.S_IMODE(path.stat().st_mode))
    return added


def _usual_name(word: str) -> str:
    """Returns the name of an agent as the documentation has it: `acp:gemini` is `gemini-acp`."""
    kind, _, preset = word.partition(":")
    return f"{preset}-{kind}" if preset else _NAMES.get(word, word)


def _is_same_program(present: object, wanted: object) -> bool:
    """Whether two tables of one kind start the same program."""
    for setting in ("format", "preset", "command"):
        if hasattr(wanted, setting):
            return bool(getattr(present, setting) == getattr(wanted, setting))
    return True


def _free_names(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}-{number}" for number in count(2))


def _edit_text(text: str, table: str, default: str, *, is_new: bool) -> str:
    """Returns the text with a table at its end; `default`: the new `batch.agent`, or empty."""
    newline = "\r\n" if "\r\n" in text else "\n"
    line = f'agent = "{default}"'
    if is_new:
        text = _AGENT_COMMENT.sub(
            f"{line}  # for items that name none", text.rstrip().rpartition("\n\n")[0], count=1
        )
    elif default and (found := _BATCH.search(text)):
        header = text[: found.end()].rstrip("\r\n")
        text = f"{header}{newline}{line}{newline}{text[found.end() :]}"
    elif default:
        table = f"[batch]\n{line}\n\n{table}"
    body = text.rstrip()
    gap = newline * 2 if body else ""
    return f"{body}{gap}{table.replace(chr(10), newline)}"


def _parse_quietly(text: str) -> Config | None:
    try:
        return parse_config(text.encode())
    except PlanError:
        return None
