"""No sandbox: the program runs as the user. What holds is only what `Limits` says of one file and of processes.

It may read and write whatever the user may, and what it leaves running goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gitbatch.sandbox.launch import launch
from gitbatch.sandbox.model import Confinement, SandboxKind


@dataclass(frozen=True, slots=True)
class NoSandbox:
    """No sandbox, asked for by name."""

    kind: SandboxKind = SandboxKind.NONE

    def command(self, argv: Sequence[str], confinement: Confinement) -> list[str]:
        """What to start instead of `argv`; see `Sandbox.command`."""
        return launch(list(argv), confinement, "none")
