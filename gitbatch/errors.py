"""The errors that stop a run, and the exit codes.

    GitbatchError            1   an expected error: one line says what happened, one what to do
    ├── UsageError           2   an option is missing or invalid
    ├── PlanError            2   the plan or a file of the project cannot be run as it is
    ├── BusyError           75   another process holds what is needed: try again later
    ├── DeclinedError      130   the user was asked and declined
    └── GitError             1   a git command that must succeed did not

A failed item is not an exception but an `Outcome` (see `batch/model.py`).
"""

from enum import IntEnum, StrEnum
from typing import NamedTuple


class ExitCode(IntEnum):
    """The exit codes of every command."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    PAUSED = 3
    BUG = 4
    TRY_AGAIN = 75
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


class ErrorKind(StrEnum):
    """The kinds of errors, as `--json` names them in `error.code`."""

    FAILED = "failed"
    """The command could not do its work."""
    INVALID_USAGE = "invalid-usage"
    INVALID_PLAN = "invalid-plan"
    BUSY = "busy"
    """Another process holds what is needed."""
    DECLINED = "declined"
    DISK = "disk"
    """The disk is full, broken or read-only, or a permission is missing."""
    GIT_FAILED = "git-failed"
    INTERRUPTED = "interrupted"
    INTERNAL = "internal-error"
    FINDINGS = "findings"
    """A check has found errors."""
    ITEMS_FAILED = "items-failed"
    """The batch has ended, and items of it did not succeed."""
    PAUSED = "paused"
    CONFIG_CHANGED = "config-changed"
    """The batch waits until a changed configuration is accepted."""
    HALTED = "halted"
    """No further item was started."""
    STOPPED = "stopped"
    """A hard stop: only the user can continue."""


class FilePlace(NamedTuple):
    """The place of an error in a file. Line and column count from 1, in characters; 0: the whole file, or line."""

    path: str
    line: int = 0
    column: int = 0


class GitbatchError(Exception):
    """An expected error: what happened, and what to do about it; `details` are shown before both."""

    code = ExitCode.FAILED
    kind = ErrorKind.FAILED

    def __init__(
        self, message: str, advice: str = "", details: str = "", place: FilePlace | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.details = details
        self.place = place


class UsageError(GitbatchError):
    """An option is missing or invalid."""

    code = ExitCode.USAGE
    kind = ErrorKind.INVALID_USAGE


class PlanError(GitbatchError):
    """The plan or a file of the project cannot be run as it is."""

    code = ExitCode.USAGE
    kind = ErrorKind.INVALID_PLAN


class DeclinedError(GitbatchError):
    """The user was asked and declined."""

    code = ExitCode.INTERRUPTED
    kind = ErrorKind.DECLINED


class BusyError(GitbatchError):
    """Another process holds what is needed; the same command may succeed later."""

    code = ExitCode.TRY_AGAIN
    kind = ErrorKind.BUSY


class GitError(GitbatchError):
    """A required git command failed; keeps its arguments, status and messages."""

    kind = ErrorKind.GIT_FAILED

    def __init__(self, argv: tuple[str, ...], status: int, stderr: str) -> None:
        super().__init__(
            f"git {_find_subcommand(argv)} failed ({status}): {find_reason(stderr) or 'no message'}",
            f"the command was: git {' '.join(argv)}",
        )
        self.argv = argv
        self.status = status
        self.stderr = stderr


def find_reason(stderr: str) -> str:
    """Returns the line of git's messages that says why it failed: its `fatal:` line, which hints may follow."""
    lines = [line for line in stderr.strip().splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("fatal:")), lines[-1] if lines else "")


def _find_subcommand(argv: tuple[str, ...]) -> str:
    """Returns the git command among its arguments: the first word after git's own options."""
    words = iter(argv)
    for word in words:
        if word == "-c":
            next(words, "")
        elif not word.startswith("-"):
            return word
    return " ".join(argv)
