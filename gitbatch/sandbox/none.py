"""No sandbox: the program runs with the user's permissions. Of `ProcessLimits` only those on file size, processes and time hold.

It may read and write everything that the user may, and processes that it leaves behind are not ended. A shell sets the
limits: it starts in a twentieth of the time that Python takes, and the launcher server is not needed.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from gitbatch.sandbox.launcher.limits import count_tasks
from gitbatch.sandbox.model import Confinement, ProcessLimits, SandboxKind

_SHELL = "/bin/sh"
_BLOCK = 512
"""The unit of `ulimit -f` in POSIX."""
_SCRIPT = """
limit() { ulimit "$@" 2>/dev/null; }
limit -c 0
limit -f "$3"
[ -z "$4" ] || limit -u "$4" || limit -p "$4"
[ -z "$5" ] || limit -t "$5"
cd "$1" || exit 126
export TMPDIR="$2"
unset PWD OLDPWD SHLVL _
shift 5
command -v "$1" >/dev/null || { echo "gitbatch: $1: No such file or directory" >&2; exit 127; }
exec "$@"
"""
"""A limit that is already lower is kept. The number of processes is `-u` in some shells and `-p` in others."""


@dataclass(frozen=True, slots=True)
class NoSandbox:
    """No sandbox, as configured by name."""

    kind: SandboxKind = SandboxKind.NONE

    def wrap_command(self, argv: Sequence[str], confinement: Confinement) -> list[str]:
        """Returns the command to start instead of `argv`; see `Sandbox.wrap_command`."""
        own = confinement.scratch / "tmp"
        own.mkdir(exist_ok=True)
        folders = (str(confinement.worktree), str(own))
        return [_SHELL, "-c", _SCRIPT, "gitbatch", *folders, *_limit_arguments(confinement.limits), *argv]


def _limit_arguments(limits: ProcessLimits) -> tuple[str, str, str]:
    """Returns the limits of blocks of a file, processes and processor seconds as text; empty if not limited."""
    processes = ""
    if limits.processes is not None and os.getuid() != 0 and Path("/proc").is_dir():  # root is not counted
        processes = str(_count_other_tasks() + limits.processes)
    seconds = "" if limits.cpu_seconds is None else str(limits.cpu_seconds)
    return str(-(-limits.file_bytes // _BLOCK)), processes, seconds


@cache
def _count_other_tasks() -> int:
    """Counts the user's tasks when the first program starts. Cached: counting takes longer than starting a program."""
    return count_tasks()
