"""An agent that is a program: it is started for each attempt, in the worktree, with the prompt on standard input.

The program runs in a process group of its own, which ends with it. A kind of agent defines its `Program`
(`program.py`); the rest is here.
"""

# ruff: noqa: PLC0415 - what counts requests is imported for agents whose network has our proxy

import asyncio
import errno
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from gitbatch.agents.process.confine import (
    UsedPaths,
    confinement_of,
    read_in_checkouts,
    strict_advice,
    was_denied,
)
from gitbatch.agents.process.environment import SLOT, certificate_variables, passed_variables
from gitbatch.agents.process.files import ExchangeFiles
from gitbatch.agents.process.interruption import AttemptInterruptedError, ProgramStoppedError
from gitbatch.agents.process.network import AgentNetwork
from gitbatch.agents.process.program import Program, ProgramExit, end_program, has_ended
from gitbatch.agents.process.start_problem import (
    can_find_program,
    describe_start_problem,
    find_format_problem,
)
from gitbatch.agents.process.starter import LauncherError, Starter
from gitbatch.agents.process.table import ProcessTable
from gitbatch.agents.process.watch import ExitWait, OutputWatch
from gitbatch.agents.protocol import AgentFolders, Assignment, Failure, OutputStream, Progress, Reply
from gitbatch.agents.secrets import Secrets
from gitbatch.concurrency import repeat_cancellation, shielded
from gitbatch.fs.disk import is_of_disk
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause
from gitbatch.sandbox.launcher import CANNOT_RUN, NOT_FOUND
from gitbatch.sandbox.model import Network, Sandbox, SandboxKind
from gitbatch.text import CleanText, clean_text

if TYPE_CHECKING:
    from gitbatch.agents.process.api_session import ApiSession

_COMPLAINT = "gitbatch: "
"""The beginning of each line that the launcher prints, or the shell without a sandbox."""

_SANDBOX_EXEC = "sandbox-exec: "
_NOT_STARTED = (CANNOT_RUN, NOT_FOUND, os.EX_DATAERR, os.EX_OSERR)
"""The exit codes of what starts a program and cannot: of shells, and of `sandbox-exec`."""

MakeProgram = Callable[[Assignment, AgentFolders, ExchangeFiles], Program | Failure]
"""Makes one start of the program; a failure: it is not started."""


class ProcessAgent(Struct, frozen=True):
    """An agent of any kind that is a process."""

    name: str
    table: ProcessTable
    environment: Mapping[str, str]
    """The user's environment, of which an allow-list is passed on."""
    sandbox: Sandbox
    starter: Starter
    command: tuple[str, ...]
    """The command line as it is configured: the program, and files that it needs, are found by it."""
    make_program: MakeProgram
    network: AgentNetwork = AgentNetwork()
    budget: Budget = field(default_factory=Budget)
    """That of the batch."""
    knows_usage: bool = False
    knows_cost: bool = False
    cost_limit: float | None = None
    token_limit: int | None = None
    notes: tuple[CleanText, ...] = ()
    """Lines about it for the header of a run."""
    used: UsedPaths = field(default_factory=UsedPaths)

    @property
    def sandbox_kind(self) -> str:
        """The kind of sandbox that the program runs in."""
        return self.sandbox.kind

    def read_in_checkouts(self, checkouts: tuple[Path, ...]) -> tuple[Path, ...]:
        """Returns the paths in the user's checkouts that the program may read: its installation, and listed ones."""
        if self.sandbox.kind is SandboxKind.NONE:
            return ()
        return read_in_checkouts(self.table, self.command, self.environment, checkouts)

    def find_used_in(self, checkouts: tuple[Path, ...]) -> tuple[Path, ...]:
        """Returns the paths in the user's checkouts that the program needs at their own paths, sandbox or not."""
        return self.used.find_paths(self.table, self.command, self.environment, checkouts)

    def find_missing_program(self, has_file: Callable[[str], bool]) -> str:
        """Returns the program if it is not found, or cannot be executed; a relative path is one in the worktree."""
        program = self.command[0]
        variables = passed_variables(self.table, self.environment)
        return "" if can_find_program(program, variables, has_file) else program

    async def run(self, assignment: Assignment, folders: AgentFolders, progress: Progress) -> Reply | Failure:
        """Runs the program until it ends; its last lines are the details of a failure."""
        if self.network.access is None:
            return await self._run_program(assignment, folders, progress, None)
        from gitbatch.agents.process.api_session import ApiSession
        from gitbatch.agents.process.spending import AttemptLimits

        limits = AttemptLimits(
            self.budget, assignment.item, self.cost_limit, self.token_limit, assignment.used
        )
        with ApiSession(self.network.access, limits, progress, self.sandbox.kind) as session:
            try:
                answer = await self._run_program(assignment, folders, progress, session)
            except AttemptInterruptedError as error:
                raise AttemptInterruptedError(session.add_usage(error.usage)) from error
        return session.judge_answer(answer)

    async def _run_program(
        self, assignment: Assignment, folders: AgentFolders, progress: Progress, session: "ApiSession | None"
    ) -> Reply | Failure:
        secrets = Secrets.from_environment(self.environment, self.table.secret_variables)
        try:
            files = ExchangeFiles.prepare(assignment, folders)
            program = self.make_program(assignment, folders, files)
            if isinstance(program, Failure):
                return program
            passed = passed_variables(self.table, self.environment)
            if problem := find_format_problem(self.command[0], passed, folders.layers):
                return Failure(clean_text(f"the agent cannot be started: {problem}"), cause=Cause.FATAL)
            output = None if assignment.review else assignment.output
            confinement = confinement_of(self.table, self.environment, folders, output, self.network.kind)
            confinement = confinement._replace(api_port=session.host_port if session else None)
            transport, watch = await self.starter.start_program(
                lambda: OutputWatch(progress, files.progress, secrets, program.show_line, program.line_bytes),
                self.sandbox.wrap_command(_list_arguments(program, session), confinement),
                self._set_variables({SLOT: str(folders.slot), **passed, **program.environment()}, session),
                folders.worktree,
                channel=session.channel if session else None,
            )
        except OSError as error:
            if is_of_disk(error):
                raise
            reason = clean_text(f"the agent cannot be started: {error.filename}: {error.strerror}")
            return Failure(reason, cause=Cause.FATAL if self._is_unusable(error) else Cause.FAILED)
        try:
            waited = await _work_through_proxy(program, transport, watch, session)
        except asyncio.CancelledError as error:
            if isinstance(error, ProgramStoppedError) or not has_ended(transport, watch):
                with suppress(asyncio.CancelledError):  # when cancelled once more, it is killed
                    await end_program(transport, watch)
                ended = ProgramExit(transport.get_returncode() or 0, watch, files, secrets)
                raise AttemptInterruptedError(program.read_partial_reply(ended).usage) from error
            waited = ExitWait.EXITED
            repeat_cancellation()
        await shielded(end_program(transport, watch))  # a cancellation now must not lose what it has done
        ended = ProgramExit(transport.get_returncode() or 0, watch, files, secrets)
        if waited is ExitWait.FINISHED or (waited is ExitWait.EXITED and ended.status == 0):
            return program.read_reply(ended)
        failure = (
            self._time_out(watch, assignment.timeout)
            if waited is ExitWait.TIMED_OUT
            else self._find_failure(program, ended, folders, has_started=session is None or session.is_served)
        )
        known = program.read_partial_reply(ended)
        return replace(failure, retry_after=known.retry_after, usage=known.usage)

    async def close(self) -> None:
        """Nothing is kept between items."""

    def _set_variables(self, variables: dict[str, str], session: "ApiSession | None") -> dict[str, str]:
        """Returns the variables of a program with those that its network needs."""
        if self.network.kind is Network.NONE:
            return variables
        whole = {**certificate_variables(self.environment), **variables}
        return session.set_variables(whole) if session else whole

    def _find_failure(
        self, program: Program, ended: ProgramExit, folders: AgentFolders, *, has_started: bool
    ) -> Failure:
        """Returns why the program, or what starts it, failed."""
        may_be_ours = not has_started or ended.status in _NOT_STARTED
        if may_be_ours and (problem := _launcher_problem(ended.watch, folders)):
            reason = clean_text(f"the agent cannot be started: {problem}")
            return Failure(reason, ended.watch.last_lines(), Cause.FATAL)
        failure = program.read_failure(ended)
        return replace(failure, details=failure.details + self._find_advice(failure.details))

    def _time_out(self, watch: OutputWatch, timeout: float) -> Failure:
        """Returns the failure of a program that took too long; one that showed nothing may wait for an answer."""
        reason = f"it took longer than {timeout:g} seconds"
        if any(map(watch.last_of, OutputStream)):
            return Failure(clean_text(reason), watch.last_lines(), Cause.TIMEOUT)
        hint = f"if it waits for an answer, such as a login, this shows it: gitbatch agents try {self.name}"
        return Failure(clean_text(f"{reason} and printed nothing"), (clean_text(hint),), Cause.TIMEOUT)

    def _find_advice(self, details: tuple[CleanText, ...]) -> tuple[CleanText, ...]:
        """Returns a hint for the user if the program complains that it may not write."""
        advice = strict_advice(self.table, self.sandbox.kind)
        return (clean_text(advice),) if advice and was_denied(details) else ()

    def _is_unusable(self, error: OSError) -> bool:
        """Whether the program, or what starts it, is missing: then no other item can be worked on either."""
        return isinstance(error, LauncherError) or (
            error.filename == self.command[0] and error.errno in {errno.ENOENT, errno.EACCES}
        )


async def _work_through_proxy(
    program: Program, transport: asyncio.SubprocessTransport, watch: OutputWatch, session: "ApiSession | None"
) -> ExitWait:
    """Feeds a program and waits for it, while the proxy serves it; what could not be started is not waited for."""
    if session is None:
        return await program.work(transport, watch)
    async with session.serve():
        return await program.work(transport, watch) if session.is_served else ExitWait.EXITED


def _list_arguments(program: Program, session: "ApiSession | None") -> list[str]:
    """Returns the command line, with what its network needs."""
    arguments = list(program.arguments())
    return session.set_arguments(arguments) if session else arguments


def _launcher_problem(watch: OutputWatch, folders: AgentFolders) -> str:
    """Returns why the launcher, or bubblewrap, could not start the program; empty if neither complains.

    A problem with a folder of the item is not a problem of the launcher, nor of another item.
    """
    *others, last = watch.last_errors() or ("",)
    if last.startswith(_SANDBOX_EXEC):
        return f"the sandbox: {last}"
    if not last.startswith(_COMPLAINT):
        return ""
    by_bubblewrap = others and others[-1].startswith("bwrap: ")
    said = describe_start_problem(others[-1] if by_bubblewrap else last.removeprefix(_COMPLAINT))
    own = (clean_text(str(folders.worktree)), clean_text(str(folders.scratch)))
    return "" if any(folder in said for folder in own) else said
