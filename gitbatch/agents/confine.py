"""From the table of an agent to what its program may do: the paths of the configuration, made absolute."""

from collections.abc import Mapping
from pathlib import Path

from gitbatch.agents.protocol import Assignment
from gitbatch.project.config import CommandAgent
from gitbatch.sandbox.model import Confinement, Limits
from gitbatch.sandbox.tools import tools_in_checkouts


def confinement_of(
    table: CommandAgent, environment: Mapping[str, str], assignment: Assignment
) -> Confinement:
    """Returns what the program of an agent may do while it works on an assignment."""
    home = _home(environment)
    return Confinement(
        worktree=assignment.worktree,
        scratch=assignment.scratch,
        git=assignment.git,
        checkouts=assignment.checkouts,
        hidden=assignment.hidden,
        home=home,
        path=environment.get("PATH", ""),
        needs=_expanded(table.needs, home),
        writable=_expanded(table.writable, home),
        network=table.network,
        strict_output=assignment.worktree / assignment.output if table.strict else None,
        limits=Limits(file_bytes=table.max_file_bytes, scratch_bytes=table.max_scratch_bytes),
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


def _home(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME", "/nonexistent"))


def _expanded(paths: tuple[str, ...], home: Path) -> tuple[Path, ...]:
    """Paths from the configuration; `~` is the user's home folder."""
    return tuple(home / path[2:] if path == "~" or path.startswith("~/") else Path(path) for path in paths)
