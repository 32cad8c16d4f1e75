"""Finding out if programs can have a worktree that is made of layers: one is mounted, and written in."""

import os
import platform
import re
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from gitbatch.errors import GitbatchError
from gitbatch.fs.removal import remove_tree
from gitbatch.sandbox.command_line import launcher_arguments
from gitbatch.sandbox.model import Confinement, Overlay, SandboxKind
from gitbatch.sandbox.selection import select_sandbox
from gitbatch.sandbox.server import LauncherServer
from gitbatch.sandbox.trial_memory import TrialMemory

_NEEDED = (5, 19)
"""Older kernels fail to rename in an overlay with RENAME_NOREPLACE, which package managers use."""
_WORK = """
set -e
read -r word < given; test "$word" = given; echo more >> given; rm -r old; mkdir old; echo new > old/new; mv old other
"""
_TIMEOUT = 20.0
_KNOWN: dict[tuple[SandboxKind, tuple[tuple[int, ...], ...]], str] = {}
"""The answers of this process."""


def find_overlay_problem(
    kind: SandboxKind,
    worktrees: Path,
    layers: Path,
    start_server: Callable[[], LauncherServer] | None = None,
    memory: TrialMemory | None = None,
) -> str:
    """Returns why a program in a kind of sandbox cannot have an overlay worktree; empty if it can. Cached for the process.

    Args:
        kind: of the sandbox; never `AUTO`.
        worktrees: an existing folder, on whose file system the changes are.
        layers: an existing folder, on whose file system the layers are.
        start_server: starts the server of the programs, which starts no other one now; None: a launcher of its own is used.
        memory: of trials of earlier runs; None: a trial is made.
    """
    if sys.platform != "linux":
        return "it needs Linux"
    marks = tuple(_mark_of(folder) for folder in (worktrees, layers))
    is_tried = (kind, marks) not in _KNOWN and not (memory and memory.take(kind, marks))
    if is_tried:
        _KNOWN[kind, marks] = _find_problem(kind, worktrees, layers, start_server)
    found = _KNOWN.setdefault((kind, marks), "")
    if memory and not found:
        memory.note(kind, marks, is_tried=is_tried)
    return found


def _mark_of(folder: Path) -> tuple[int, ...]:
    """Returns what an overlay in a folder depends on: its file system, how it is mounted, and the group of new files.

    A device number alone is given to the next file system once the first one is unmounted.
    """
    status, mounted = folder.stat(), os.statvfs(folder)
    group = status.st_gid, status.st_mode & stat.S_ISGID
    return status.st_dev, mounted.f_fsid, mounted.f_flag, *group


def _find_problem(
    kind: SandboxKind, worktrees: Path, layers: Path, start_server: Callable[[], LauncherServer] | None
) -> str:
    if _kernel_version() < _NEEDED:
        return f"it needs Linux {_NEEDED[0]}.{_NEEDED[1]}, and this is {platform.release()}"
    try:
        return _try_overlay(kind, worktrees, layers, start_server)
    except TimeoutError:
        return f"a program in one took longer than {_TIMEOUT:g} seconds"
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    except GitbatchError as error:
        return error.message


def _kernel_version() -> tuple[int, ...]:
    numbers = re.match(r"(\d+)\.(\d+)", platform.release())
    return tuple(map(int, numbers.groups())) if numbers else ()


def _try_overlay(
    kind: SandboxKind, worktrees: Path, layers: Path, start_server: Callable[[], LauncherServer] | None
) -> str:
    """Lets a program write in an overlay, and reads what it left there; returns what is wrong."""
    with (
        tempfile.TemporaryDirectory(prefix=".probe-", dir=layers) as lower,
        tempfile.TemporaryDirectory(prefix=".probe-", dir=worktrees) as made,
    ):
        folder, template = Path(made).resolve(), Path(lower).resolve()
        (template / "given").write_text("given\n", encoding="ascii")
        (template / "old").mkdir()
        (template / "old/file").write_text("", encoding="ascii")
        upper, work, scratch = (folder / name for name in ("upper", "work", "scratch"))
        for each in (upper, work, scratch):
            each.mkdir()
        (upper / ".git").write_text("", encoding="ascii")
        confinement = Confinement(
            worktree=upper,
            scratch=scratch,
            git=(),
            home=folder / "home",
            overlay=Overlay((template,), upper, work),
        )
        command = select_sandbox(kind).wrap_command(("/bin/sh", "-c", _WORK), confinement)
        code, errors = _run_probe(command, start_server)
        remove_tree(work)  # the kernel's folder in it has the mode 000
        if code:
            said = (errors.strip().splitlines() or [f"exit code {code}"])[-1]
            return said.removeprefix("gitbatch: ")
        return "" if _is_written(upper, template) else "what a program writes in one is lost"


def _run_probe(command: Sequence[str], start_server: Callable[[], LauncherServer] | None) -> tuple[int, str]:
    """Runs the program by the server, or by a launcher of its own, for which another Python has to start.

    Raises:
        OSError: it cannot be started.
        TimeoutError: it took too long.
    """
    arguments = launcher_arguments(command)
    if start_server is not None and arguments is not None:
        return start_server().run_program(arguments, Path("/"), _TIMEOUT)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_TIMEOUT,
            env={},
        )
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    return done.returncode, done.stderr


def _is_written(upper: Path, template: Path) -> bool:
    """Whether the changes of the program are in the upper folder, and the layer is as it was."""
    expected = {
        upper / "given": "given\nmore\n",
        upper / "other/new": "new\n",
        template / "given": "given\n",
        template / "old/file": "",
    }
    with suppress(OSError):
        return all(path.read_text(encoding="utf-8") == text for path, text in expected.items())
    return False
