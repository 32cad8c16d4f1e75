"""The seam of checks and gates that run on other machines: values go there, and a verdict comes back, which is believed."""

from typing import Protocol

from msgspec import Struct

from gitbatch.agents.protocol import Progress
from gitbatch.checks.tree import TreeContent
from gitbatch.checks.verdict import CheckResult
from gitbatch.project.check_tables import ProgramTable


class RemoteCheck(Struct, frozen=True):
    """A check or a gate that is to run on another machine."""

    name: str
    table: ProgramTable
    content: TreeContent
    """The content of its folder."""
    reads_blob: bool = False
    """Whether `{output}` is a file outside of the worktree, as the check would load the one in it by itself."""


class RemoteChecks(Protocol):
    """Other machines on which checks and gates run."""

    async def run_check(self, check: RemoteCheck, progress: Progress) -> CheckResult:
        """Returns the verdict of a check, and where it was given. Cancelling the call ends its processes.

        Raises:
            GitError: its files are not in the repository any more.
        """
        ...
