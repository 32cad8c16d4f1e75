"""What a program may do (`Confinement`), and what a kind of sandbox is (`Sandbox`). Values only, no system call.

The rule that every kind follows: *the deepest path wins*. A program sees the system's folders, what is
on its PATH, what git reads in its worktree and what is listed as needed; a hidden folder below one of those is not
seen, nor is the user's checkout; its worktree and its scratch folder are seen and writable, wherever they are.
Nothing else exists for it.
"""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Protocol

_MEBIBYTE = 1024 * 1024


class SandboxKind(StrEnum):
    """The kinds of sandbox that can be asked for."""

    AUTO = "auto"
    BUBBLEWRAP = "bubblewrap"
    LANDLOCK = "landlock"
    NONE = "none"


class ProcessLimits(NamedTuple):
    """How much a program may use. What it may do is in `Confinement`; how long it may take, its agent knows."""

    file_bytes: int = 1024 * _MEBIBYTE
    """The size of any one file."""
    scratch_bytes: int = 4096 * _MEBIBYTE
    """All that it has written and not deleted. Looked at once a second (in a large worktree less often), so not exact."""
    processes: int | None = 2048
    """Processes and threads beside those that the user runs at the start. Does nothing for root."""
    cpu_seconds: int | None = None
    """Processor time of any one process."""


class Confinement(NamedTuple):
    """What one program may do. Paths are absolute; one that does not exist is passed over, where that makes sense."""

    worktree: Path
    """Its current folder. It may write there, except the pointer file `.git` (Landlock: see there)."""
    scratch: Path
    """Its private folder, which it may write; its TMPDIR is made there. It must exist."""
    git: tuple[Path, ...]
    """What git reads in its worktree: it may read that too."""
    home: Path
    """$HOME, of which it sees nothing but what is listed here."""
    checkouts: tuple[Path, ...] = ()
    """The user's checkouts and git directories: of them it sees only what is listed as needed, and its own program."""
    hidden: tuple[Path, ...] = ()
    """Folders that it may not see even where they are below a readable one, such as that of all worktrees."""
    path: str = ""
    """Its PATH: the folders on it that are not the system's become readable, and the tools that they belong to."""
    needs: tuple[Path, ...] = ()
    """What else it may read."""
    writable: tuple[Path, ...] = ()
    """What else it may write."""
    network: bool = False
    """It may use the network, that of this machine too."""
    strict_output: Path | None = None
    """The one file of its worktree that it may write; None: all of it."""
    limits: ProcessLimits = ProcessLimits()


class Sandbox(Protocol):
    """A kind of sandbox that works here."""

    @property
    def kind(self) -> SandboxKind:
        """Which; never `AUTO`."""
        ...

    def wrap_command(self, argv: Sequence[str], confinement: Confinement) -> list[str]:
        """What to start instead of `argv`, in the environment and with the files that the program is to have.

        It ends when the program has ended, with the program's exit code, or 128 + n if that ended by signal n.
        By then no process of the program is left, unless the kind is `NONE`. It takes no part of the command
        line from a shell. Start it from a thread that lives as long as it: it ends when that thread does.

        Raises:
            OSError: there is no such program, or the strict output is not in the worktree.
        """
        ...


class Unavailable(NamedTuple):
    """Why a kind of sandbox can't be had here, in words that can stand after its name and a colon."""

    reason: str
