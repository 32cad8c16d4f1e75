"""The kinds of worktree, and the choice of the one that a run uses: the first that works here, or the one that is set."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from gitbatch.errors import GitbatchError, UsageError
from gitbatch.sandbox.model import SandboxKind
from gitbatch.text import format_count

if TYPE_CHECKING:
    from gitbatch.sandbox.server import LauncherServer
    from gitbatch.sandbox.trial_memory import TrialMemory


class WorktreeKind(StrEnum):
    """How a worktree gets its files; the one that costs least first."""

    OVERLAY = "overlay"
    """Layers that all worktrees share, mounted for the programs of an agent."""
    CLONE = "clone"
    """Clones of a template's files, which share its blocks on the disk (reflinks)."""
    COPY = "copy"
    """Git's checkout."""


class TrialTools(Struct, frozen=True):
    """What a trial of overlays uses."""

    start_server: "Callable[[], LauncherServer] | None" = None
    """Starts the server of the programs; None: the trial starts a launcher of its own."""
    memory: "TrialMemory | None" = None
    """Of the trials of earlier runs."""
    agents: frozenset[SandboxKind] = frozenset()
    """The sandboxes of agents. A check in another one, for which the memory is wrong, would fail when its agent is paid."""


NO_TOOLS = TrialTools()
AUTO = "auto"
FEW_FILES = 100
"""The most files of an item's context whose copies cost less than the mounts of an overlay."""


class KindChoice(Struct, frozen=True):
    """The kind of worktree of a run."""

    kind: WorktreeKind
    why_not: tuple[str, ...] = ()
    """Why the kinds before it do not work here: `KIND: reason`."""

    @property
    def text(self) -> str:
        """The kind, and why it is not a better one, in a line."""
        return f"{self.kind} ({'; '.join(self.why_not)})" if self.why_not else str(self.kind)


def choose_kind(
    wanted: str,
    sandboxes: Iterable[SandboxKind],
    worktrees: Path,
    layers: Path,
    context_files: int | None = None,
    tools: TrialTools = NO_TOOLS,
) -> KindChoice:
    """Returns the kind of worktree to use. The first call in a process makes a trial of it.

    Args:
        wanted: the setting `batch.worktree`, or what GITBATCH_WORKTREE has instead.
        sandboxes: those that programs will run in.
        worktrees: the folder for worktrees, which is created.
        layers: the folder for layers, which is created if it can be.
        context_files: how many files a worktree has, if it has only what its item reads.
        tools: for the trial.

    Raises:
        GitbatchError: the wanted kind does not work here, or does not exist.
        OSError: the folder for worktrees cannot be created.
    """
    if wanted == WorktreeKind.COPY:
        return KindChoice(WorktreeKind.COPY)
    if wanted == AUTO and context_files is not None and context_files <= FEW_FILES:
        return KindChoice(
            WorktreeKind.COPY,
            (f"{format_count(context_files, 'file')} of a context, which cost less than a mount",),
        )
    worktrees.mkdir(parents=True, exist_ok=True)
    if wanted not in {AUTO, *WorktreeKind}:
        raise UsageError(f"GITBATCH_WORKTREE is {wanted}", f"use one of {', '.join((AUTO, *WorktreeKind))}")
    problems: Mapping[WorktreeKind, Callable[[], str]] = {
        WorktreeKind.OVERLAY: partial(_find_overlay_problem, tuple(sandboxes), worktrees, layers, tools),
        WorktreeKind.CLONE: partial(_find_clone_problem, layers, worktrees),
        WorktreeKind.COPY: str,
    }
    why_not: list[str] = []
    no_layers = _find_folder_problem(layers)
    for kind, find_problem in problems.items():
        if wanted not in {AUTO, kind}:
            continue
        problem = (no_layers if kind is not WorktreeKind.COPY else "") or find_problem()
        if not problem:
            return KindChoice(kind, tuple(why_not))
        why_not.append(f"{kind}: {problem}")
    raise GitbatchError(
        f"cannot make worktrees of the kind {why_not[0]}",
        f'set worktree = "{AUTO}" under [batch] to use the first kind that works here',
    )


def _find_clone_problem(layers: Path, worktrees: Path) -> str:
    from gitbatch.fs.cloning import find_clone_problem  # noqa: PLC0415 - where overlays work, nothing is cloned

    return find_clone_problem(layers, worktrees)


def _find_folder_problem(folder: Path) -> str:
    """Creates a folder; returns why it cannot be created."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    return ""


def _find_overlay_problem(
    sandboxes: tuple[SandboxKind, ...],
    worktrees: Path,
    layers: Path,
    tools: TrialTools,
) -> str:
    from gitbatch.sandbox.overlay import find_overlay_problem  # noqa: PLC0415 - not for runs of the kind copy

    folders = worktrees.resolve(), layers.resolve()
    found = (
        find_overlay_problem(
            kind, *folders, tools.start_server, tools.memory if kind in tools.agents else None
        )
        for kind in sorted(sandboxes)
    )
    return next(filter(None, found), "")
