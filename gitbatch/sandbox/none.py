"""No sandbox: the program runs with the user's permissions. Of `ProcessLimits` only those on file size, processes and time hold.

It may read and write everything that the user may, and processes that it leaves behind are not ended. A shell sets the
limits: it starts in a twentieth of the time that Python takes, and the launcher server is not needed. Where the worktree is
made of layers, the launcher mounts them for the program, ends what it leaves behind, and measures what it writes; the program sees
no process but its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gitbatch.sandbox.command_line import launcher_command
from gitbatch.sandbox.model import Confinement, SandboxKind


@dataclass(frozen=True, slots=True)
class NoSandbox:
    """No sandbox, as configured by name."""

    kind: SandboxKind = SandboxKind.NONE

    def wrap_command(self, argv: Sequence[str], confinement: Confinement) -> list[str]:
        """Returns the command to start instead of `argv`; see `Sandbox.wrap_command`."""
        if confinement.overlay:
            return launcher_command(list(argv), confinement, "none")
        from gitbatch.sandbox.shell import shell_command  # noqa: PLC0415 - worktrees in layers need none

        return shell_command(argv, confinement)
