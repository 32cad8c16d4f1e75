"""The confinement of an agent's program, from the table of the agent: paths of the configuration are made absolute."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct, field

from gitbatch.agents.process.environment import certificate_variables
from gitbatch.agents.process.settings import ProgramSettings
from gitbatch.agents.process.table import ProcessTable
from gitbatch.agents.protocol import AgentFolders
from gitbatch.project.agent_table import AgentTable
from gitbatch.sandbox.model import Confinement, Network, ProcessLimits, SandboxKind
from gitbatch.sandbox.tools import tools_in_checkouts

_DENIED = ("permission denied", "read-only file system", "resource busy", "eacces", "erofs", "ebusy", "eperm")
"""Texts and names of errno that programs print when they may not write a folder, or replace a mounted file."""


def confinement_of(
    table: ProgramSettings,
    environment: Mapping[str, str],
    folders: AgentFolders,
    output: str | None,
    network: Network,
) -> Confinement:
    """Returns the confinement of a program that works on one output.

    Args:
        table: its settings.
        environment: the user's.
        folders: those of its attempt.
        output: the path of the output; None: it reviews, and may not write its worktree.
        network: what it may reach. If that is anything, it may read the certificates of the user's network.
    """
    home = _home_folder(environment)
    named = () if network is Network.NONE else certificate_variables(environment).values()
    certificates = (Path(path) for path in named if path.startswith("/"))
    return Confinement(
        worktree=folders.worktree,
        scratch=folders.scratch,
        git=folders.git,
        checkouts=folders.checkouts,
        hidden=folders.hidden,
        home=home,
        path=environment.get("PATH", ""),
        needs=(*_expand_paths(table.needs, home), *certificates),
        writable=_expand_paths(table.writable, home),
        network=network,
        strict_output=folders.worktree / output if table.strict and output is not None else None,
        reads_only=output is None,
        overlay=folders.overlay,
        limits=ProcessLimits(file_bytes=table.max_file_bytes, scratch_bytes=table.max_scratch_bytes),
    )


def read_in_checkouts(
    table: ProgramSettings,
    command: tuple[str, ...],
    environment: Mapping[str, str],
    checkouts: tuple[Path, ...],
) -> tuple[Path, ...]:
    """Returns the paths in the user's checkouts that a sandboxed program may read: its installation, and listed ones."""
    home = _home_folder(environment)
    tools = tools_in_checkouts(command, environment.get("PATH", ""), home, checkouts)
    listed = _expand_paths((*table.needs, *table.writable), home)
    inside = (path for path in listed if any(path.is_relative_to(folder) for folder in checkouts))
    return tuple(sorted({*tools, *inside}))


class UsedPaths(Struct, frozen=True):
    """The paths in the user's checkouts that programs need at their own paths: each is looked for once.

    To look takes longer than all else that an item with layers costs the orchestrator.
    """

    _found: dict[object, tuple[Path, ...]] = field(default_factory=dict)

    def find_paths(
        self,
        table: ProgramSettings,
        command: tuple[str, ...],
        environment: Mapping[str, str],
        checkouts: tuple[Path, ...],
    ) -> tuple[Path, ...]:
        """Returns those of a program, also those behind a link there."""
        variables = environment.get("PATH"), environment.get("HOME")
        key = command, table.needs, table.writable, variables, checkouts
        if key not in self._found:
            self._found[key] = _find_used_in(table, command, environment, checkouts)
        return self._found[key]


def _find_used_in(
    table: ProgramSettings,
    command: tuple[str, ...],
    environment: Mapping[str, str],
    checkouts: tuple[Path, ...],
) -> tuple[Path, ...]:
    folders = (Path(folder) for folder in environment.get("PATH", "").split(":") if folder.startswith("/"))
    on_path = (folder for folder in folders if any(map(folder.is_relative_to, checkouts)) and folder.is_dir())
    return (*read_in_checkouts(table, command, environment, checkouts), *on_path)


def strict_advice(table: AgentTable, asked: SandboxKind | None) -> str:
    """Returns a hint about an agent that may write nothing but its output; empty for all other agents.

    Args:
        table: the table of the agent.
        asked: the sandbox that it runs in; None: the one that the table names.
    """
    if not isinstance(table, ProcessTable) or not table.strict:
        return ""
    if (asked or SandboxKind(table.sandbox)) is SandboxKind.NONE:
        return ""
    return (
        "strict = true lets it write its output in place only: a program that writes a temporary file and renames it "
        "(most editors, many agents) needs strict = false"
    )


def was_denied(lines: Iterable[str]) -> bool:
    """Returns whether a program complains that it may not write, or replace, a file."""
    return any(phrase in line.lower() for line in lines for phrase in _DENIED)


def _home_folder(environment: Mapping[str, str]) -> Path:
    return Path(environment.get("HOME", "/nonexistent"))


def _expand_paths(paths: tuple[str, ...], home: Path) -> tuple[Path, ...]:
    """Returns paths of the configuration as absolute ones; `~` is the user's home folder."""
    return tuple(home / path[2:] if path == "~" or path.startswith("~/") else Path(path) for path in paths)
