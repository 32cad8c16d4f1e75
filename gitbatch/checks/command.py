"""Runs the command of a check or a gate in a folder that is ready for it, and reads its verdict from its exit code.

| how it ends | verdict |
|---|---|
| exit code 0 | pass |
| exit code 77 | skip (as automake has it) |
| exit code 75 | it is asked again after 10, 20, 40 … seconds, within its time limit; then unavailable |
| any other exit code | red |
| time limit, a signal, exit codes 126 and 127, no start, no sandbox | unavailable |

Exit code 75 does not touch the rate limit of the agents: what a check waits for is not what they wait for.
The program runs as that of an agent does: the same sandbox, variables, output limits, and end of all its processes.
"""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from gitbatch.agents.process.confine import UsedPaths, confinement_of
from gitbatch.agents.process.environment import certificate_variables, passed_variables, secret_names
from gitbatch.agents.process.last_lines import find_reason
from gitbatch.agents.process.program import describe_exit, end_program, show_shortened
from gitbatch.agents.process.start_problem import can_find_program, describe_start_problem
from gitbatch.agents.process.watch import TEXT_LINE, ExitWait, OutputWatch
from gitbatch.agents.protocol import AgentFolders, OutputStream, Progress
from gitbatch.agents.secrets import Secrets
from gitbatch.agents.services import AgentServices
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.concurrency import repeat_cancellation, shielded
from gitbatch.errors import GitbatchError
from gitbatch.fs.disk import is_of_disk
from gitbatch.patterns import compile_later
from gitbatch.plan.duration import require_duration
from gitbatch.project.check_tables import ProgramTable
from gitbatch.sandbox.launcher import CANNOT_RUN, NOT_FOUND
from gitbatch.sandbox.model import Network
from gitbatch.text import CleanText, clean_text

SKIPPED = 77
"""The exit code of a check that does not apply."""
FINDING_LINES = 60
"""The most lines of a check's output that are kept: the last ones of each stream."""
SIDE_BY_SIDE = 4
"""The most checks of one item that run at the same time: each takes the open files that an agent takes."""
_FIRST_PAUSE = 10.0
_PLACEHOLDER = compile_later(r"\{(?:output|worktree)\}")
_COMPLAINT = "gitbatch: "
"""The beginning of what the launcher prints, or the shell without a sandbox."""
_NO_VERDICT = frozenset({CANNOT_RUN, NOT_FOUND})


class Subject(Struct, frozen=True):
    """The files that a program judges."""

    folders: AgentFolders
    output: str = ""
    """What `{output}` is: the path of the output in the worktree, or an absolute path; empty: the whole tree."""
    stdin: Path | None = None
    """The file that standard input reads; None: standard input is empty."""


class CheckTools(Struct, frozen=True):
    """What every check of a run uses."""

    services: AgentServices
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    clock: Callable[[], float] = time.monotonic
    used: UsedPaths = field(default_factory=UsedPaths)


class _Ended(Struct, frozen=True):
    """One start of the program that has ended."""

    status: int
    timed_out: bool
    watch: OutputWatch

    @property
    def asks_again(self) -> bool:
        return not self.timed_out and self.status == os.EX_TEMPFAIL


async def run_command(
    tools: CheckTools, name: str, table: ProgramTable, subject: Subject, progress: Progress
) -> CheckResult:
    """Runs a command until it gives a verdict, or its time is up. Cancelling the call ends its processes.

    Args:
        tools: what every check uses.
        name: of the check.
        table: its settings.
        subject: the files, in a folder that nothing else uses.
        progress: gets its output, line by line.

    Raises:
        OSError: our disk fails.
    """
    began, pause = tools.clock(), _FIRST_PAUSE
    used = tools.used.find_paths(table, table.command, tools.services.environment, subject.folders.checkouts)
    subject = replace(subject, folders=subject.folders.show_to(used))
    limit = require_duration(table.timeout)
    while True:
        try:
            ended = await _run_once(tools, table, subject, progress, limit - (tools.clock() - began))
        except (OSError, GitbatchError) as error:
            if isinstance(error, OSError) and is_of_disk(error):
                raise
            return CheckResult(name, CheckVerdict.UNAVAILABLE, _since(tools, began), _describe_start(error))
        left = limit - (tools.clock() - began)
        if not ended.asks_again or pause >= left:
            return _judge_end(name, ended, table, _since(tools, began))
        text = f"asks to be run again (exit {ended.status}): waiting {pause:.0f} s"
        progress(OutputStream.ERROR, clean_text(text))
        await tools.pause(pause)
        pause *= 2


def find_missing_program(
    table: ProgramTable, environment: dict[str, str], has_file: Callable[[str], bool]
) -> str:
    """Returns the program of a check if it is not found; empty if it is, or if that cannot be known.

    Args:
        table: the settings.
        environment: the user's.
        has_file: whether the worktree will have a file at a repository path.
    """
    program = table.command[0].replace("{worktree}/", "./", 1)
    variables = passed_variables(table, environment)
    return "" if can_find_program(program, variables, has_file) else program


async def _run_once(
    tools: CheckTools, table: ProgramTable, subject: Subject, progress: Progress, seconds: float
) -> _Ended:
    """Starts the program once and waits for its end."""
    services, folders = tools.services, subject.folders
    environment = services.environment
    sandbox = services.open_sandbox(table.sandbox)
    secrets = Secrets.from_environment(environment, secret_names(table.pass_env, table.public_env))
    confinement = confinement_of(
        table, environment, folders, subject.output, Network.of_setting(table.network)
    )
    variables = {
        **(certificate_variables(environment) if table.network else {}),
        **passed_variables(table, environment),
        **{name: _fill_placeholders(value, subject) for name, value in table.env.items()},
        "GITBATCH_OUTPUT": subject.output,
    }
    arguments = [_fill_placeholders(argument, subject) for argument in table.command]
    with ExitStack() as files:
        stdin = os.open(subject.stdin or os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        files.callback(os.close, stdin)
        transport, watch = await services.starter.start_program(
            lambda: OutputWatch(
                progress, folders.scratch / "progress", secrets, show_shortened, TEXT_LINE, FINDING_LINES
            ),
            sandbox.wrap_command(arguments, confinement),
            variables,
            folders.worktree,
            stdin,
        )
    try:
        waited = await watch.wait_for_exit(max(seconds, 0.0), lambda: False)
    except asyncio.CancelledError:
        with suppress(asyncio.CancelledError):  # when cancelled once more, it is killed
            await end_program(transport, watch)
        repeat_cancellation()
        raise
    await shielded(end_program(transport, watch))
    return _Ended(transport.get_returncode() or 0, waited is ExitWait.TIMED_OUT, watch)


def _judge_end(name: str, ended: _Ended, table: ProgramTable, seconds: float) -> CheckResult:
    """Returns the result for the last start of a program."""
    verdict = _verdict_of(ended)
    if verdict is CheckVerdict.PASS:
        return CheckResult(name, verdict, seconds)
    findings = _read_findings(ended.watch)
    said = find_reason(findings)
    if ended.timed_out:
        reason = f"it took longer than {table.timeout}"
    elif verdict is CheckVerdict.SKIP:
        reason = said or f"exit code {SKIPPED}"
    elif ended.asks_again:
        reason = f"it still asks to be run again after {table.timeout} (exit {ended.status})"
    elif ended.status in _NO_VERDICT and said.startswith(_COMPLAINT):
        reason = f"it cannot be started: {describe_start_problem(said.removeprefix(_COMPLAINT))}"
    else:
        reason = describe_exit(ended.status, said)
    return CheckResult(name, verdict, seconds, clean_text(reason), findings)


def _verdict_of(ended: _Ended) -> CheckVerdict:
    status = ended.status
    if ended.timed_out or status < 0 or status in _NO_VERDICT or ended.asks_again:
        return CheckVerdict.UNAVAILABLE
    if status - 128 in signal.valid_signals():  # what starts it for us reports signal N so
        return CheckVerdict.UNAVAILABLE
    return {0: CheckVerdict.PASS, SKIPPED: CheckVerdict.SKIP}.get(status, CheckVerdict.RED)


def _read_findings(watch: OutputWatch) -> tuple[CleanText, ...]:
    """Returns the last lines of both streams, the errors last."""
    return (*watch.last_of(OutputStream.OUTPUT), *watch.last_of(OutputStream.ERROR))[-FINDING_LINES:]


def _describe_start(error: OSError | GitbatchError) -> CleanText:
    said = error.message if isinstance(error, GitbatchError) else f"{error.filename}: {error.strerror}"
    return clean_text(f"it cannot be started: {said}")


def _fill_placeholders(text: str, subject: Subject) -> str:
    values = {"{output}": subject.output, "{worktree}": str(subject.folders.worktree)}
    return _PLACEHOLDER.sub(lambda match: values[match[0]], text)


def _since(tools: CheckTools, began: float) -> float:
    return round(tools.clock() - began, 3)
