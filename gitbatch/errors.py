"""What can stop a run, and the exit code that each stop has.

    GitbatchError            1   an expected error: one line what happened, one line what to do
    ├── UsageError           2   an option is missing or makes no sense
    ├── PlanError            2   the plan or the project's files say something that can't be run
    ├── BusyError           75   someone else is at work here: try again later
    ├── DeclinedError      130   the user was asked and wanted nothing
    └── GitError             1   a git command that must succeed did not

A failed item is no exception: it is an `Outcome` (see `batch/model.py`).
"""

from enum import IntEnum


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


class GitbatchError(Exception):
    """An expected error: what happened, and what to do about it; `details` are shown before both."""

    code = ExitCode.FAILED

    def __init__(self, message: str, advice: str = "", details: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice
        self.details = details


class UsageError(GitbatchError):
    """An option is missing or makes no sense."""

    code = ExitCode.USAGE


class PlanError(GitbatchError):
    """The plan or one of the project's files can't be run as it is written."""

    code = ExitCode.USAGE


class DeclinedError(GitbatchError):
    """The user was asked and wanted nothing."""

    code = ExitCode.INTERRUPTED


class BusyError(GitbatchError):
    """Someone else holds what we need; the same command may succeed later."""

    code = ExitCode.TRY_AGAIN


class GitError(GitbatchError):
    """A git command failed that must not fail; keeps what was run and what git said."""

    def __init__(self, argv: tuple[str, ...], status: int, stderr: str) -> None:
        said = stderr.strip().splitlines()
        super().__init__(
            f"git {_subcommand(argv)} failed ({status}): {said[-1] if said else 'no message'}",
            f"the command was: git {' '.join(argv)}",
        )
        self.argv = argv
        self.status = status
        self.stderr = stderr


def _subcommand(argv: tuple[str, ...]) -> str:
    """The git command among its arguments: what comes first behind git's own options."""
    words = iter(argv)
    for word in words:
        if word == "-c":
            next(words, "")
        elif not word.startswith("-"):
            return word
    return " ".join(argv)
