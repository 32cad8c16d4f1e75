"""Checks and gates at a worker: a program in a fresh folder of what was sent, and its verdict. Nothing of it is kept."""

from collections.abc import Callable

import msgspec

from gitbatch.agents.process.environment import secret_names
from gitbatch.agents.protocol import OutputStream
from gitbatch.agents.secrets import Secrets
from gitbatch.batch.executor.messages import CheckDone, CheckJob, FromWorker, JobEvent
from gitbatch.batch.worker.item_job import JobRefusedError, JobTools
from gitbatch.checks.command import CheckTools, Subject, find_missing_program, run_command
from gitbatch.checks.tree import TreeContent, open_tree
from gitbatch.project.check_tables import CheckTable, GateTable, ProgramTable
from gitbatch.text import CleanText

_LONGEST_LINE = 4_000


async def run_check(tools: JobTools, job: CheckJob, send: Callable[[FromWorker], None]) -> CheckDone:
    """Runs a check. Cancelling the call ends every process of it.

    Raises:
        JobRefusedError: this machine lacks its program; nothing has begun.
        OSError, GitbatchError: this machine cannot do it.
    """
    table = _read_table(job)
    environment = dict(tools.pool.environment)
    if missing := find_missing_program(table, environment, lambda _: True):
        raise JobRefusedError(f"the program {missing} is not found, or cannot be executed")
    named = secret_names(table.pass_env, table.public_env)
    secrets = Secrets.from_environment(environment, {*named, *tools.sent})

    def show_line(stream: OutputStream, line: CleanText) -> None:
        send(JobEvent(job.token, stream, line[:_LONGEST_LINE]))

    setup = job.setup
    content = TreeContent(setup.commit, job.base.commit, setup.paths, setup.output, setup.earlier or "")
    trees = await tools.copy.open_trees(job.base)
    async with open_tree(trees, f"check-{job.token[:8]}", content) as folder:
        output = str(folder.blob) if job.reads_blob else setup.output
        subject = Subject(folder.folders, output, folder.blob)
        shown = secrets.mask_progress(show_line)
        result = await run_command(CheckTools(tools.pool), job.name, table, subject, shown)
    findings = tuple(line[:_LONGEST_LINE] for line in secrets.mask_lines(result.findings))
    reason = secrets.mask_line(result.reason)[:_LONGEST_LINE]
    return CheckDone(job.token, result.verdict, result.seconds, reason, findings)


def _read_table(job: CheckJob) -> ProgramTable:
    try:
        return msgspec.json.decode(job.table, type=GateTable if job.is_gate else CheckTable)
    except msgspec.DecodeError as error:
        raise JobRefusedError(f"this worker cannot read its settings: {error}") from error
