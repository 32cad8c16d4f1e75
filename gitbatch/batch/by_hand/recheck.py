"""The service of `gitbatch verify --checks`: runs the checks and gates of a history again, on the trees that it records.

They run in a sandbox and without a network, whatever their tables say: the files that they judge are not trusted. Checks
of agents are counted and not run.
"""

import asyncio
import os
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.protocol import OutputStream
from gitbatch.batch.by_hand.check import find_commit
from gitbatch.batch.by_hand.recorded import RecordedRun, TrustedSource, find_recorded_runs, find_trusted_files
from gitbatch.batch.by_hand.trees import CheckHost, CheckSetup, open_check_setup
from gitbatch.batch.history.verify.audit import AuditFinding, find_judged, resolve_revisions
from gitbatch.batch.history.verify.rules import Check
from gitbatch.batch.history.verify.trees import is_regular
from gitbatch.batch.planning.check_problems import require_program
from gitbatch.checks.command import Subject, run_command
from gitbatch.checks.tree import TreeContent, open_tree
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.errors import UsageError
from gitbatch.fs.removal import remove_anything
from gitbatch.project.check_tables import GateTable, ProgramTable
from gitbatch.repo.repository import Repository
from gitbatch.text import CleanText, clean_text


class Recheck(Struct, frozen=True):
    """What the checks and gates of a history say now."""

    source: str
    """The commit whose configuration and plan said which they are."""
    runs: int = 0
    findings: tuple[AuditFinding, ...] = ()
    """The red ones."""
    no_verdict: tuple[AuditFinding, ...] = ()
    """Those that could not judge."""
    not_run: int = 0
    """The number of checks of agents."""


def recheck_history(repo: Repository, revisions: str, trusted: str | None, host: CheckHost) -> Recheck:
    """Runs the checks and gates again. Call it outside an event loop.

    Args:
        repo: the repository.
        revisions: a range `A..B`, or a revision with `trusted`.
        trusted: the revision whose configuration and plan are used; None: the start of the range.
        host: environment and folders.

    Raises:
        UsageError: it is not known which configuration to use.
        PlanError: that configuration is invalid.
        GitbatchError: no sandbox works here, or a program is missing.
    """
    source = TrustedSource(repo, _find_source(repo, revisions, trusted))
    history, judged = find_judged(repo, revisions)
    found = tuple(find_recorded_runs(source, history, judged))
    wanted = tuple(replace(run, table=confine_table(run.table)) for run in found if run.table.command)
    if not wanted:
        return Recheck(source.commit, not_run=len(found))
    config = source.read_config()
    with open_check_setup(repo, config, host) as setup:
        for run in {(type(run.table), run.name): run for run in wanted}.values():
            setting = ("gates" if isinstance(run.table, GateTable) else "checks", run.name)
            require_program(setting, run.table, setup.tools.services, partial(_has_file, source))
        results = asyncio.run(_run_all(setup, source, wanted, config.batch.jobs))
    judgements = tuple(zip(wanted, results, strict=True))
    return Recheck(
        source.commit,
        len(wanted),
        tuple(_make_finding(run, said) for run, said in judgements if said.verdict is CheckVerdict.RED),
        tuple(
            _make_finding(run, said) for run, said in judgements if said.verdict is CheckVerdict.UNAVAILABLE
        ),
        len(found) - len(wanted),
    )


def confine_table(table: ProgramTable) -> ProgramTable:
    """Returns the settings of a program that judges files that are not trusted."""
    return replace(table, sandbox="auto" if table.sandbox == "none" else table.sandbox, network=False)


def _find_source(repo: Repository, revisions: str, trusted: str | None) -> str:
    """Returns the commit whose configuration is trusted."""
    if trusted is not None:
        return find_commit(repo, trusted)
    starts = [oid.removeprefix("^") for oid in resolve_revisions(repo, revisions) if oid.startswith("^")]
    if len(starts) != 1:
        raise UsageError(
            "--checks needs to know whose checks to run",
            "name a range with one start (main..HEAD), or a commit: --config REV",
        )
    return starts[0]


def _has_file(source: TrustedSource, path: str) -> bool:
    return source.snapshot.blob(path) is not None


async def _run_all(
    setup: CheckSetup, source: TrustedSource, runs: tuple[RecordedRun, ...], jobs: int
) -> tuple[CheckResult, ...]:
    slots = asyncio.Semaphore(jobs)

    async def run_one(run: RecordedRun) -> CheckResult:
        async with slots:
            result = await _run_until_sure(setup, source, run)
            if result.verdict is not CheckVerdict.RED or not _may_be_red(run):
                return result
            return await _judge_below(setup, source, run, result)

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(run_one(run)) for run in runs]
    return tuple(task.result() for task in running)


async def _run_until_sure(setup: CheckSetup, source: TrustedSource, run: RecordedRun) -> CheckResult:
    """Returns what a check or gate says; a red gate runs again before it is believed."""
    result = await _run_again(setup, source, run)
    left = run.table.retries_of_gate if isinstance(run.table, GateTable) else 0
    while result.verdict is CheckVerdict.RED and left:
        result, left = await _run_again(setup, source, run), left - 1
    return result


async def _judge_below(
    setup: CheckSetup, source: TrustedSource, run: RecordedRun, red: CheckResult
) -> CheckResult:
    """Returns the result of a gate that is red and is recorded as red before: a skip if it is, by a run below its group."""
    base = run.content.base
    below = await _run_until_sure(setup, source, replace(run, content=TreeContent(base, base)))
    if below.verdict is CheckVerdict.RED:
        return replace(red, verdict=CheckVerdict.SKIP)
    if below.verdict is CheckVerdict.UNAVAILABLE:
        return below
    return red


async def _run_again(setup: CheckSetup, source: TrustedSource, recorded: RecordedRun) -> CheckResult:
    async with open_tree(setup.trees, "verify", recorded.content) as folder:
        await setup.trees.git(_put_trusted_files, source, recorded, folder.folders.worktree)
        output = str(folder.blob) if recorded.is_own else recorded.output
        return await run_command(
            setup.tools,
            recorded.name,
            recorded.table,
            Subject(folder.folders, output, folder.blob),
            _show_nothing,
        )


def _put_trusted_files(source: TrustedSource, recorded: RecordedRun, folder: Path) -> None:
    """Writes the trusted versions of what judges."""
    for path in find_trusted_files(source, recorded):
        _put_file(source, path, folder)


def _put_file(source: TrustedSource, path: str, folder: Path) -> None:
    """Writes the trusted version of a file instead of whatever the history's tree has on the way to it."""
    objects = source.repo.objects
    target = folder / path
    for above in reversed(target.relative_to(folder).parents[:-1]):
        if (folder / above).is_symlink() or not (folder / above).is_dir():
            (folder / above).unlink(missing_ok=True)
            (folder / above).mkdir()
    remove_anything(target)
    entry = objects.find_entry(objects.tree_of(source.commit), path)
    mode = 0o644 if is_regular(entry) else 0o755
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(target, flags, mode), "wb") as file:
        file.write(objects.read_blob(entry.oid if entry else ""))


def _may_be_red(run: RecordedRun) -> bool:
    """Whether a red result was to be expected, if it is red below its group too."""
    return run.was_red and isinstance(run.table, GateTable) and not run.table.must_pass


def _make_finding(run: RecordedRun, said: CheckResult) -> AuditFinding:
    check = Check.ITEM_CHECKS if run.output else Check.CHECKPOINT_GATES
    kind = "check" if run.output else "gate"
    red = "is red, and was not red before" if _may_be_red(run) else "is red"
    state = red if said.verdict is CheckVerdict.RED else "gave no verdict"
    what = f" on {run.output}" if run.output else ""
    return AuditFinding(
        run.commit, check.rule, check, clean_text(f"{kind} {run.name} {state}{what}: {said.reason}")
    )


def _show_nothing(_stream: OutputStream, _line: CleanText) -> None:
    """Shows no line while a program runs."""
