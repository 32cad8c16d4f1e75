"""From the table of an agent to what its program may do: the paths of the configuration, made absolute."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from gitbatch.agents.protocol import LocalPlace
from gitbatch.project.config import AgentTable, CommandAgent
from gitbatch.sandbox.model import Confinement, ProcessLimits, SandboxKind
from gitbatch.sandbox.tools import tools_in_checkouts

_DENIED = ("permission denied", "read-only file system", "resource busy", "eacces", "erofs", "ebusy", "eperm")
"""What programs say when a folder, or the mount of a file, is not theirs to write: errno's texts and names."""


def confinement_of(
    table: CommandAgent, environment: Mapping[str, str], place: LocalPlace, output: str
) -> Confinement:
    """Returns what the program of an agent may do while it works in a place on one output."""
    home = _home(environment)
    return Confinement(
        worktree=place.worktree,
        scratch=place.scratch,
        git=place.git,
        checkouts=place.checkouts,
        hidden=place.hidden,
        home=home,
        path=environment.get("PATH", ""),
        needs=_expanded(table.needs, home),
        writable=_expanded(table.writable, home),
        network=table.network,
        strict_output=place.worktree / output if table.strict else None,
        limits=ProcessLimits(file_bytes=table.max_file_bytes, scratch_bytes=table.max_scratch_bytes),
    )


def read_in_checkouts(
    table: CommandAgent, environment: Mapping[str, str], checkouts: tuple[Path, ...]
) -> tuple[Path, ...]:
    """Returns what of the user's checkouts a sandboxed program may read: its own installation, and what is listed."""
    home = _home(environment)
    tools = tools_in_checkouts(table.command, environment.get("PATH", ""), home, checkouts)
    listed = _expanded((*table.needs, *table.writable), home)
    inside = (path for path in listed if any(path.is_relative_to(folder) for folder in checkouts))
    return tuple(sorted({*tools, *inside}))


def strict_advice(table: AgentTable, asked: SandboxKind | None) -> str:
    """Returns what to know of an agent that may write nothing but its output; empty for all others.

    Args:
        table: the agent's.
        asked: the sandbox that it runs in; None: the one that the table names.
    """
    if not isinstance(table, CommandAgent) or not table.strict:
        return ""
    if (asked or SandboxKind(table.sandbox)) is SandboxKind.NONE:
        return ""
    return (
        "strict = true lets it write its output in place only: a program that writes a temporary file and renames it "
        "(most editors, many agents) needs strict = false"
    )


def was_denied(lines: Iterable[str]) -> bool:
    """Whether a program said that it may not write, or replace, a file."""
    return any(sign in line.lower() for line in lines for sign in _DENIED)


def _home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME", "/nonexistent"))


def _expanded(paths: tuple[str, ...], home: Path) -> tuple[Path, ...]:
    """Paths from the configuration; `~` is the user's home folder."""
    return tuple(home / path[2:] if path == "~" or path.startswith("~/") else Path(path) for path in paths)
