"""Checks and gates at workers, for those who trust their workers: a worker's word decides what goes into history.

A worker gets the files of the check's commit as it gets those of an item, in a slot. A worker that is lost while it checks
costs nothing: the check is sent again.
"""

import asyncio
import io
import secrets
from collections.abc import Callable

from msgspec import Struct, json
from msgspec.structs import replace

from gitbatch.agents.protocol import Progress
from gitbatch.batch.executor.incoming_job import IncomingJob, JobEnd
from gitbatch.batch.executor.messages import CheckDone, CheckJob
from gitbatch.batch.executor.pool_member import PoolMember
from gitbatch.batch.executor.pool_members import NoWorker
from gitbatch.batch.executor.worker_pool import WorkerPool
from gitbatch.batch.workplace.protocol import WorkplaceSetup
from gitbatch.checks.remote_check import RemoteCheck
from gitbatch.checks.tree import TreeContent
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.concurrency import GitThread
from gitbatch.plan.duration import require_duration
from gitbatch.project.check_tables import GateTable
from gitbatch.repo.repository import Repository
from gitbatch.text import CleanText, clean_text

_SPARE = 60.0
"""Seconds that a worker has beyond the time limit of a check, before it counts as lost."""


class CheckSender(Struct, frozen=True):
    """The workers of a run, for its checks: `checks.remote_check.RemoteChecks`."""

    repo: Repository
    git: GitThread
    pool: WorkerPool
    max_lost: int
    tell: Callable[[str], None]

    async def run_check(self, check: RemoteCheck, progress: Progress) -> CheckResult:
        """Lets a worker run a check; another one, if that is lost."""
        self.pool.start()
        setup, base = await self.git(_describe_content, self.repo, check.content)
        token = secrets.token_hex(16)
        is_gate = isinstance(check.table, GateTable)
        job = CheckJob(token, check.name, json.encode(check.table), is_gate, setup, base, check.reads_blob)
        unfit: list[PoolMember] = []
        while True:
            job = replace(job, token=secrets.token_hex(16))
            ended = asyncio.get_running_loop().create_future()
            name = f"{'gate' if is_gate else 'check'} {check.name}"
            incoming = IncomingJob(job.token, progress, name, 0, io.BytesIO(), ended, is_check=True)
            member = await self.pool.take_member(incoming, unfit)
            if isinstance(member, NoWorker):
                return _fail(check, member.reason)
            end = await self._wait_for_end(member, incoming, job, require_duration(check.table.timeout))
            if isinstance(end.result, CheckDone):
                return _read_verdict(check, end.result, member.host)
            if incoming.refusal or incoming.found_no_slot:
                continue
            unfit.append(member)
            said = end.lost or incoming.disk_problem
            if len(unfit) > self.max_lost:
                return _fail(check, clean_text(f"worker {member.host} was lost: {said}"))
            self.tell(f"{name} is sent again: worker {member.host} was lost ({said})")

    async def _wait_for_end(
        self, member: PoolMember, incoming: IncomingJob, job: CheckJob, seconds: float
    ) -> JobEnd:
        pool = self.pool
        try:
            async with asyncio.timeout(seconds + _SPARE):
                await pool.send_job(member, incoming, job)
                return await asyncio.shield(incoming.ended)
        except asyncio.CancelledError:
            await pool.cancel_job(member, job.token)
            raise
        except TimeoutError:
            incoming.lose("it does not answer in time")
            await pool.give_up_job(member, job.token)
            return incoming.ended.result()
        finally:
            pool.release_job(member, job.token)


def _describe_content(repo: Repository, content: TreeContent) -> tuple[WorkplaceSetup, WorkplaceSetup]:
    """Returns what the worktree at the worker is like, and the base that git shows there."""

    def describe_commit(commit: str, blob: str | None) -> WorkplaceSetup:
        tree = repo.objects.tree_of(commit)
        return WorkplaceSetup("", commit, tree, content.output, content.paths, (), blob)

    return describe_commit(content.commit, content.blob or None), describe_commit(content.base, None)


def _read_verdict(check: RemoteCheck, done: CheckDone, host: CleanText) -> CheckResult:
    """Returns the verdict of a worker, with harmless texts."""
    is_about_it = done.verdict is CheckVerdict.UNAVAILABLE
    reason = clean_text(f"worker {host}: {done.reason}" if is_about_it else done.reason)
    findings = tuple(map(clean_text, done.findings))
    return CheckResult(check.name, done.verdict, done.seconds, reason, findings, host=host)


def _fail(check: RemoteCheck, reason: CleanText) -> CheckResult:
    return CheckResult(check.name, CheckVerdict.UNAVAILABLE, reason=reason)
