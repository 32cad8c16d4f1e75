"""Running the commands of `batch.prepare` once, in the sandbox, for all worktrees: their result is a layer in the cache.

They run on the batch's first commit, which the user has made, so only there may they have a network. If an item of the
batch changes a file that `batch.prepare-on` names, they run again on a commit of the batch, without one, and the result is
for that batch alone. $HOME and TMPDIR are folders of their own, removed afterwards.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from shlex import join
from typing import NamedTuple, Protocol

from msgspec import Struct

from gitbatch.agents.process.environment import passed_variables
from gitbatch.agents.protocol import AgentFolders, OutputStream
from gitbatch.checks.command import CheckTools, Subject, run_command
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.errors import GitbatchError
from gitbatch.project.check_tables import ProgramTable
from gitbatch.project.extras_table import ExtrasTable
from gitbatch.text import CleanText, clean_text

PURPOSE = "prepare"
_LAST_LINES = 20


class PrepareError(GitbatchError):
    """A command of `batch.prepare` failed: no agent has started."""


class NewDetachedWorktree(NamedTuple):
    """The specification of a worktree without a branch."""

    path: Path
    """Its folder, which does not exist."""
    commit: str
    """The commit whose files it has."""
    base: str
    """The commit that the target branch is shown at."""
    layers: tuple[Path, ...]
    """What is on top of the files, the uppermost first."""
    paths: tuple[str, ...] | None = None
    """The only paths of the commit that it has (a folder ends in a slash); None: all."""
    is_rare: bool = False
    """Whether no other worktree will have the files of the commit."""


class DetachedWorktree(NamedTuple):
    """A worktree for the commands."""

    folders: AgentFolders
    take: Callable[[Path], None]
    """Moves what they changed into an empty folder, which becomes a layer."""


class DetachedWorktrees(Protocol):
    """A supply of worktrees for the commands, of the kind that the items of the run have."""

    @property
    def seen_at(self) -> str:
        """Returns the folder in which the commands run, as they see it; empty: each time another one."""
        ...

    def open_worktree(self, new: NewDetachedWorktree) -> AbstractAsyncContextManager[DetachedWorktree]:
        """Makes a worktree, and removes it at the end.

        Raises:
            DiskError: it cannot be made.
        """
        ...


class PrepareRunner(Struct, frozen=True):
    """Runs the commands."""

    tools: CheckTools
    table: ExtrasTable

    def list_variables(self) -> dict[str, str]:
        """Returns the variables that the commands get, without those of one run."""
        program = ProgramTable(command=("",))
        given = passed_variables(program, self.tools.services.environment)
        return {name: value for name, value in given.items() if name != "HOME"}

    async def run_in(self, folders: AgentFolders, *, network: bool) -> None:
        """Runs the commands in a worktree, one after another.

        Raises:
            PrepareError: one failed.
        """
        home = folders.scratch / "home"
        home.mkdir(parents=True, exist_ok=True)
        for command in self.table.prepare_commands:
            program = ProgramTable(
                command=command,
                timeout=self.table.prepare_timeout,
                sandbox=self.table.prepare_sandbox,
                network=network,
                env={"HOME": str(home)},
            )
            result = await run_command(self.tools, PURPOSE, program, Subject(folders), _ignore_line)
            if result.verdict is not CheckVerdict.PASS:
                raise _describe_failure(command, result, network=network)


def _describe_failure(command: tuple[str, ...], result: CheckResult, *, network: bool) -> PrepareError:
    hint = "" if network else "; it has no network (batch.prepare-network)"
    return PrepareError(
        clean_text(f"batch.prepare failed: {join(command)}: {result.reason}"),
        "fix the command and resume: gitbatch run --accept-config; if a committed file is wrong, "
        f"end the batch (gitbatch abort), commit and start again{hint}",
        "\n".join(result.findings[-_LAST_LINES:]),
    )


def _ignore_line(_stream: OutputStream, _line: CleanText) -> None:
    """Shows nothing: only if a command fails, its last lines matter."""
