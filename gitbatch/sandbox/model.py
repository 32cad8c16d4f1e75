"""The permissions of a program (`Confinement`) and the interface of a sandbox (`Sandbox`). Values only, no system calls.

Every kind follows one rule: *the deepest path wins*. A program sees the system's folders, the tools on its PATH, what
git reads in its worktree, and the paths that are listed as needed. It does not see a hidden folder below one of those,
nor the user's checkout. It sees and may write its worktree and its scratch folder, wherever they are.
Nothing else exists for it.
"""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

_MEBIBYTE = 1024 * 1024


class SandboxKind(StrEnum):
    """The kinds of sandbox that can be configured."""

    AUTO = "auto"
    BUBBLEWRAP = "bubblewrap"
    LANDLOCK = "landlock"
    SEATBELT = "seatbelt"
    NONE = "none"

    @property
    def has_launcher(self) -> bool:
        """Whether the launcher (`launcher/`) starts its programs."""
        return self in {SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK}


class Network(StrEnum):
    """What a program may reach."""

    NONE = "none"
    """Nothing; there may be a loopback interface of its own."""
    API = "api"
    """One listener on a loopback interface of its own, on which gitbatch accepts connections from outside."""
    ALL = "all"
    """The network, the services of this machine included."""

    @classmethod
    def of_setting(cls, value: "Literal['api'] | bool") -> "Network":
        """Returns the network that a setting `network` asks for."""
        if value == "api":
            return cls.API
        return cls.ALL if value else cls.NONE


class ProcessLimits(NamedTuple):
    """How much of the machine a program may use. Its agent limits how long it may run."""

    file_bytes: int = 1024 * _MEBIBYTE
    """The size of any one file."""
    scratch_bytes: int = 4096 * _MEBIBYTE
    """All that it has written and not deleted. Measured once a second (in a large worktree less often), so not exact."""
    processes: int | None = 2048
    """Processes and threads in addition to those that the user runs at the start. Has no effect for root."""
    cpu_seconds: int | None = None
    """Processor time of any one process."""


class GitLayer(NamedTuple):
    """A git directory that worktrees share, mounted with a folder on top that has what one program changes in it."""

    lower: tuple[Path, ...]
    """Its parts, the uppermost first."""
    upper: Path
    """The folder on top, which is also its mount point."""
    work: Path
    """A folder on the same file system, for the kernel alone."""


class Overlay(NamedTuple):
    """A worktree that the launcher mounts, where only the program and what it starts see it: layers, with changes on top."""

    lower: tuple[Path, ...]
    """Folders that nothing changes while they are mounted, the uppermost first; they belong to the user and its group."""
    upper: Path
    """The folder that receives all changes; files may be in it from the beginning."""
    work: Path
    """An empty folder on the same file system, for the kernel alone."""
    git: GitLayer | None = None
    """The git directory of the worktree: so an index can be shared, and objects written that no other program sees."""
    binds: tuple[tuple[Path, Path], ...] = ()
    """Folders (source, target) that are shown at another path too, because the worktree hides them at their own."""


class Confinement(NamedTuple):
    """The permissions of one program. Paths are absolute; a path that does not exist is ignored unless it is required."""

    worktree: Path
    """Its current folder. It may write there, except to the pointer file `.git` (with Landlock see `landlock.py`).

    With an overlay: the folder that it is mounted on, whose own content the program does not see.
    """
    scratch: Path
    """Its private, writable folder; its TMPDIR is created there. It must exist."""
    git: tuple[Path, ...]
    """The folders that git reads in its worktree; it may read them too."""
    home: Path
    """$HOME, of which it sees only the paths that are listed here."""
    checkouts: tuple[Path, ...] = ()
    """The user's checkouts and git directories: it sees only their parts that are needed, and its own program."""
    hidden: tuple[Path, ...] = ()
    """Folders that it may not see even below a readable one, such as the folder of all worktrees."""
    path: str = ""
    """Its PATH: folders on it that are not the system's become readable, with the tools that they belong to."""
    needs: tuple[Path, ...] = ()
    """More paths that it may read."""
    writable: tuple[Path, ...] = ()
    """More paths that it may write."""
    network: Network = Network.NONE
    api_port: int | None = None
    """The port of this machine's loopback that it may connect to with the network `api`; None: it has an own loopback."""
    strict_output: Path | None = None
    """The only file of its worktree that it may write; None if it may write all of it."""
    reads_only: bool = False
    """Whether it may not write its worktree at all."""
    limits: ProcessLimits = ProcessLimits()
    overlay: Overlay | None = None
    """The layers that are mounted at the worktree; None: the worktree is a plain folder."""

    @property
    def program_folders(self) -> tuple[Path, ...]:
        """The folders outside of the launcher that have the files of the worktree, the first first."""
        overlay = self.overlay
        return (overlay.upper, *overlay.lower) if overlay else (self.worktree,)


class Sandbox(Protocol):
    """A kind of sandbox that works on this machine."""

    @property
    def kind(self) -> SandboxKind:
        """The kind; never `AUTO`."""
        ...

    def wrap_command(self, argv: Sequence[str], confinement: Confinement) -> list[str]:
        """Returns the command to start instead of `argv`, with the environment and the descriptors of the program.

        It ends when the program ends, with the program's exit code, or 128 + n if signal n ended the program. By
        then no process of the program is left, if the kind has the launcher. No shell interprets the command line.
        The thread that starts it must live as long as it does: it ends when that thread ends.

        Raises:
            OSError: the program does not exist, or the strict output is not in the worktree.
        """
        ...


class Unavailable(NamedTuple):
    """Why a kind of sandbox does not work here. The reason is shown after its name and a colon."""

    reason: str
