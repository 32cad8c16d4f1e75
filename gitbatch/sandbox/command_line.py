"""The command line of the launcher: how the orchestrator starts the process in `launcher/`, for every kind of sandbox."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from pathlib import Path

from gitbatch.sandbox.filesystem_view import strict_output
from gitbatch.sandbox.model import Confinement, Network, Overlay
from gitbatch.sandbox.tools import SYSTEM_FOLDERS

_PYTHON = (sys.executable, "-I", "-S", "-c")
_START = "import sys; sys.path.append(sys.argv.pop(1)); from gitbatch.sandbox.launcher."
_PACKAGE = str(Path(__file__).parents[2])
_LAUNCHER = (*_PYTHON, _START + "main import main; main(sys.argv[1:])", _PACKAGE)
"""Isolated and without `site`: none of the user's Python settings take effect in the launcher, and it starts fast."""


def launcher_command(argv: list[str], confinement: Confinement, mode: str, *options: str) -> list[str]:
    """Returns the command that starts the launcher, which starts `argv`.

    Args:
        argv: the program, or bubblewrap with it.
        confinement: its limits and folders.
        mode: one of the modes in `launcher.main`.
        options: options of that mode.
    """
    return [*_LAUNCHER, "--mode", mode, *options, *_confinement_options(confinement), "--", *argv]


def server_command() -> list[str]:
    """Returns the command that starts a launcher server, which forks for each program."""
    return [*_PYTHON, _START + "server import serve_requests; serve_requests()", _PACKAGE]


def launcher_arguments(command: Sequence[str]) -> Sequence[str] | None:
    """Returns the launcher's arguments in a command line; None if it starts another program."""
    head, rest = command[: len(_LAUNCHER)], command[len(_LAUNCHER) :]
    return rest if tuple(head) == _LAUNCHER else None


def needs_namespace(arguments: Sequence[str]) -> bool:
    """Returns whether the launcher is to be, with some arguments, the first process of a namespace of processes.

    For a program with an overlay worktree; bubblewrap makes the namespace itself, and the network `api` comes before it.
    """
    given = tuple(takewhile(lambda argument: argument != "--", arguments))
    options = dict(zip(given[::2], given[1::2], strict=False))
    is_possible = options.get("--mode") != "bubblewrap" and options.get("--network") != Network.API.value
    return is_possible and "--upper" in options


def probe_command() -> list[str]:
    """Returns the command that prints the Landlock ABI that works here, or on standard error why none does."""
    readable = (part for path in SYSTEM_FOLDERS for part in ("--read", str(path)))
    return [*_LAUNCHER, "--mode", "probe", *readable, "--"]


def _confinement_options(confinement: Confinement) -> Iterator[str]:
    limits = confinement.limits
    yield from ("--worktree", str(confinement.worktree))
    yield from ("--scratch", str(confinement.scratch))
    yield from ("--network", confinement.network.value)
    yield from ("--file-bytes", str(limits.file_bytes))
    yield from ("--scratch-bytes", str(limits.scratch_bytes))
    if limits.processes is not None:
        yield from ("--processes", str(limits.processes))
    if limits.cpu_seconds is not None:
        yield from ("--cpu-seconds", str(limits.cpu_seconds))
    output = strict_output(confinement)
    if output:
        yield from ("--output", str(output))
    if confinement.overlay:
        yield from _overlay_options(confinement.overlay)


def _overlay_options(overlay: Overlay) -> Iterator[str]:
    """Yields the options for the mounts of a worktree; of the upper folders, that of the worktree is the first."""
    git = (overlay.git,) if overlay.git else ()
    yield from _repeat_option("--lower", overlay.lower)
    yield from _repeat_option("--upper", (overlay.upper, *(layer.upper for layer in git)))
    yield from _repeat_option("--work", (overlay.work, *(layer.work for layer in git)))
    for layer in git:
        yield from _repeat_option("--git-lower", layer.lower)
    for source, target in overlay.binds:
        yield from ("--bind-source", str(source), "--bind-target", str(target))


def _repeat_option(name: str, paths: Iterable[Path]) -> Iterator[str]:
    for path in paths:
        yield from (name, str(path))
