"""Starts a program by a shell that sets its limits, where the launcher is not used: it needs Linux, and longer to start."""

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from gitbatch.sandbox.launcher.limits import count_threads
from gitbatch.sandbox.model import Confinement, ProcessLimits

_SHELL = "/bin/sh"
_BLOCK = 512
"""The unit of `ulimit -f` in POSIX."""
_SCRIPT = """
limit() { ulimit "$@" 2>/dev/null; }
limit -c 0
limit -f "$4"
[ -z "$5" ] || limit -u "$5" || limit -p "$5"
[ -z "$6" ] || limit -t "$6"
cd "$1" || exit 126
export TMPDIR="$2"
[ -z "$3" ] || export HOME="$3"
unset PWD OLDPWD SHLVL _
shift 6
command -v "$1" >/dev/null || { echo "gitbatch: $1: No such file or directory" >&2; exit 127; }
exec "$@"
"""
"""A limit that is already lower is kept. The number of processes is `-u` in some shells and `-p` in others."""


def shell_command(argv: Sequence[str], confinement: Confinement, home: Path | None = None) -> list[str]:
    """Returns the command that sets the limits and starts `argv` in the worktree, with a TMPDIR of its own.

    Args:
        argv: the program.
        confinement: its limits and folders.
        home: its $HOME; None to keep the user's.
    """
    own = confinement.scratch / "tmp"
    own.mkdir(exist_ok=True)
    folders = (str(confinement.worktree), str(own), str(home or ""))
    return [_SHELL, "-c", _SCRIPT, "gitbatch", *folders, *_limit_arguments(confinement.limits), *argv]


def _limit_arguments(limits: ProcessLimits) -> tuple[str, str, str]:
    """Returns the limits of blocks of a file, processes and processor seconds as text; empty if not limited."""
    processes = ""
    if limits.processes is not None and os.getuid() != 0 and Path("/proc").is_dir():  # root is not counted
        processes = str(_count_other_threads() + limits.processes)
    seconds = "" if limits.cpu_seconds is None else str(limits.cpu_seconds)
    return str(-(-limits.file_bytes // _BLOCK)), processes, seconds


@cache
def _count_other_threads() -> int:
    """Counts the user's processes and threads when the first program starts. Cached: counting takes longer than starting a program."""
    return count_threads()
