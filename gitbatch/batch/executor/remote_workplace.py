"""Workplaces on other machines: `workplace/protocol.Workplace` by a pool of workers.

Agents that are programs are sent out; the others (they only wait for their server) work here, in local workplaces. A worker
gets values and objects, and gives back an answer, the list of changed paths and the bytes of one file. It names no path:
the bytes are those of the item's output, whatever it says.
"""

import asyncio
import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from msgspec import Struct, json
from msgspec.structs import replace

from gitbatch import __version__
from gitbatch.agents.process.interruption import AttemptInterruptedError
from gitbatch.agents.process.table import ProcessTable
from gitbatch.agents.protocol import Agent, Assignment, Failure, Progress, Reply
from gitbatch.batch.executor.carrier import CarrierTools, open_carrier
from gitbatch.batch.executor.incoming_job import IncomingJob
from gitbatch.batch.executor.live_usage import LiveUsage
from gitbatch.batch.executor.messages import PROTOCOL, ItemJob, JobResult, Welcome
from gitbatch.batch.executor.pool_member import PoolMember
from gitbatch.batch.executor.pool_members import NoWorker, PoolMembers
from gitbatch.batch.executor.remote_checks import CheckSender
from gitbatch.batch.executor.result_tokens import OldResults, make_token
from gitbatch.batch.executor.sent_answers import read_answer
from gitbatch.batch.executor.sent_secrets import collect_secrets, remove_sent
from gitbatch.batch.executor.worker_pool import PoolTools, WorkerPool
from gitbatch.batch.workplace.protocol import (
    Collected,
    NotBegunError,
    StartPermit,
    Workplace,
    Workplaces,
    WorkplaceSetup,
)
from gitbatch.concurrency import GitThread
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import FREE, Usage
from gitbatch.plan.duration import require_duration
from gitbatch.project.config import Config
from gitbatch.repo.repository import Repository
from gitbatch.repo.templates.real_files import has_lfs_files
from gitbatch.text import CleanText, clean_text

_HURRY, _PATIENCE = 0.5, 10.0
"""Seconds that workers have to end."""
_BUDGET_REACHED = "the budget of the batch is reached"
_SPARE = 60.0
"""Seconds that a worker has beyond the time limit of an agent, before it counts as lost."""


class RemoteTools(Struct, frozen=True):
    """What remote workplaces are made of."""

    repo: Repository
    git: GitThread
    folder: Path
    """The batch's folder for worktrees."""
    config: Config
    environment: Mapping[str, str]
    budget: Budget
    """Of the batch."""
    tell: Callable[[str], None]
    announce: Callable[[str, CleanText], None]
    """Called with the slug of an item and the worker that it is sent to; empty: it waits for one."""
    old: OldResults = OldResults()
    """What workers may remove, as no run asks for it any more."""
    hosts: frozenset[str] = frozenset()
    """The workers that may have results of a run that was killed."""


@dataclass(slots=True)
class RemoteWorkplaces:
    """The workplaces of a run whose agents work on other machines."""

    tools: RemoteTools
    local: Workplaces
    """For agents that are not programs."""
    pool: WorkerPool
    tables: Mapping[str, bytes]
    """The settings of the agents that are sent out, by name."""
    recorded: dict[str, set[str]] = field(default_factory=dict)
    """By slug: results that need not be kept at the next attempt of the item, when the ledger has them."""
    _has_warned: bool = False

    def open_workplace(
        self, batch: str, slug: str, agent: str, permit: StartPermit | None = None
    ) -> Workplace:
        """Returns a workplace for an attempt at the item with a slug."""
        if agent not in self.tables:
            return self.local.open_workplace(batch, slug, agent, permit)
        return RemoteWorkplace(self, batch, slug, self.tables[agent], permit)

    def open_checks(self) -> CheckSender | None:
        """Returns what runs checks and gates at the workers; None: they run here."""
        tools, executor = self.tools, self.tools.config.executor
        if executor.checks_at != "workers":
            return None
        return CheckSender(tools.repo, tools.git, self.pool, executor.max_lost, tools.tell)

    async def warn_once(self, setup: WorkplaceSetup) -> None:
        """Says which files of a whole checkout are not at workers what they are in one here."""
        if self._has_warned or setup.paths is not None:
            return
        self._has_warned = True
        for line in await self.tools.git(list_unlike_here, self.tools.repo, setup.tree):
            self.tools.tell(line)

    async def close(self, *, in_hurry: bool) -> None:
        """Ends the work on other machines."""
        await self.pool.forget_results(frozenset().union(*self.recorded.values()))
        self.recorded.clear()
        await self.pool.close(_HURRY if in_hurry else _PATIENCE)
        await self.local.close(in_hurry=in_hurry)


@dataclass(slots=True)
class RemoteWorkplace:
    """A slot of a worker: a `protocol.Workplace`. Where it is is known once the agent works."""

    shared: RemoteWorkplaces
    batch: str
    slug: str
    table: bytes
    permit: StartPermit | None = None
    """Asked when there is a slot for the agent; None: it may always start."""
    host: CleanText = CleanText("")
    setup: WorkplaceSetup | None = None
    file: "IO[bytes] | None" = None
    job: IncomingJob | None = None

    async def prepare(self, setup: WorkplaceSetup) -> None:
        """Notes what the worktree at the worker is to be like."""
        self.setup = setup
        await self.shared.warn_once(setup)
        self.shared.tools.folder.mkdir(parents=True, exist_ok=True)
        self.file = tempfile.TemporaryFile(dir=self.shared.tools.folder, buffering=0)  # noqa: SIM115 - until it is discarded

    async def work(self, agent: Agent, assignment: Assignment, progress: Progress) -> Reply | Failure:
        """Lets a worker run the agent, and waits until it has ended."""
        assert self.setup is not None  # noqa: S101 - the order of calls
        tools, pool = self.shared.tools, self.shared.pool
        token = make_token(self.batch, self.slug, self.setup, assignment, self.table)
        pool.start()
        await pool.forget_results(frozenset(self.shared.recorded.pop(self.slug, ())))
        most = tools.config.batch.max_output_bytes
        order = (token, self.batch, self.slug, agent.name, self.table, assignment, self.setup, most)
        sent = ItemJob(*order, counts_usage=True)
        unfit: list[PoolMember] = []
        stopped, returns = Usage(), 0
        while True:
            job = self._receive_job(sent, progress)
            member = await self._take_member(job, unfit)
            if isinstance(member, NoWorker):
                cause = Cause.FATAL if member.is_lacking else Cause.NO_WORKER
                return Failure(member.reason, cause=cause, usage=FREE)
            item, budget = assignment.item, tools.budget
            limits = (budget.cost_left_for(item), budget.tokens_left_for(item))
            sent = replace(sent, cost_left=limits[0], tokens_left=limits[1])
            answer = await self._work_at(member, job, sent)
            # Its machine lacks something, or has no slot; or the worker that was lost before is back with the result.
            if job.refusal or job.found_no_slot or job.is_elsewhere:
                stopped += job.live.known if job.live else Usage()
                continue
            if job.is_lost and returns < tools.config.executor.max_lost and await self._wait_for_return(job):
                returns += 1
                continue
            unfit.append(member)
            if not job.could_not_begin or len(unfit) > tools.config.executor.max_lost:
                return answer if stopped.is_empty else replace(answer, usage=answer.usage + stopped)

    async def _wait_for_return(self, job: IncomingJob) -> bool:
        """Waits for the worker that a job was lost with: its result has the cost of what it was lost with."""
        try:
            return await self.shared.pool.wait_for_return(job)
        except asyncio.CancelledError as error:
            raise AttemptInterruptedError(Usage()) from error

    async def _take_member(self, job: IncomingJob, unfit: Sequence[PoolMember]) -> PoolMember | NoWorker:
        """Waits for a worker with room. One that has begun with the job is taken in any case: that is paid for.

        Raises:
            NotBegunError: when there was room, the attempt was not permitted any more.
        """
        pool, permit, began = self.shared.pool, self.permit, time.monotonic()
        while True:
            is_early = permit is not None and permit.is_early
            member = await pool.take_member(job, unfit, is_early=is_early, note_wait=self._note_wait)
            has_begun = isinstance(member, PoolMember) and member.has_begun(job.token)
            if permit is None or isinstance(member, NoWorker) or has_begun or permit.is_given:
                break
            pool.release_job(member, job.token)  # others may use the slot, and free what this one waits for
            if await permit.wait_for_start() is None:
                raise NotBegunError
        if permit:
            permit.waited += time.monotonic() - began
        return member

    def _note_wait(self) -> None:
        self.shared.tools.announce(self.slug, CleanText(""))

    def _receive_job(self, sent: ItemJob, progress: Progress) -> IncomingJob:
        """Returns what will come back for a job, of which nothing has come yet."""
        assert self.file is not None  # noqa: S101 - the order of calls
        self.file.seek(0)
        self.file.truncate()
        ended = asyncio.get_running_loop().create_future()
        live = LiveUsage(self.shared.tools.budget, sent.assignment.item)
        purpose = f"agent {sent.agent}"
        self.job = IncomingJob(sent.token, progress, purpose, sent.most_bytes, self.file, ended, live=live)
        return self.job

    async def _work_at(self, member: PoolMember, job: IncomingJob, sent: ItemJob) -> Reply | Failure:
        """Lets one worker run the agent, and waits until it has ended."""
        pool, token = self.shared.pool, sent.token
        self.host = member.host
        self.shared.tools.announce(self.slug, member.host)
        try:
            async with asyncio.timeout(sent.assignment.timeout + _SPARE):
                await pool.send_job(member, job, sent)
                end = await asyncio.shield(job.ended)
        except asyncio.CancelledError as error:
            await pool.cancel_job(member, token)
            raise AttemptInterruptedError(Usage()) from error
        except TimeoutError:
            job.lose("it does not answer in time")
            end = job.ended.result()
            await pool.give_up_job(member, token)
        finally:
            pool.release_job(member, token)
        if end.is_elsewhere or end.is_over_limit:
            await pool.cancel_job(member, token)
        if end.is_over_limit:
            used = job.live.known if job.live else Usage()
            return Failure(clean_text(_BUDGET_REACHED), cause=Cause.BUDGET, usage=used)
        if not isinstance(end.result, JobResult):
            reason = clean_text(f"worker {member.host} was lost: {end.lost}")
            return Failure(reason, cause=Cause.LOST, usage=Usage() if job.is_sent else FREE)
        answer = read_answer(end.result.answer)
        if isinstance(answer, Failure) and answer.cause in {
            Cause.FATAL,
            Cause.LOST,
        }:  # it is about the machine
            return replace(answer, reason=clean_text(f"worker {member.host}: {answer.reason}"))
        return answer

    async def collect(self) -> Collected | None:
        """Returns the changes, and the source of the output; nothing of either, if no worker has sent a result."""
        return self.job.collect() if self.job else None

    async def note_recorded(self, *, in_git: bool) -> None:
        """Lets the worker remove the result: now if git has it, else at the next attempt of the item."""
        if self.job is None or not self.job.has_result:  # what a lost worker may still bring is wanted
            return
        if in_git:
            await self.shared.pool.forget_results(frozenset({self.job.token}))
        else:
            self.shared.recorded.setdefault(self.slug, set()).add(self.job.token)

    async def discard(self) -> bool:
        """Removes what was received."""
        if self.file:
            self.file.close()
        return True


def list_unlike_here(repo: Repository, tree: str) -> tuple[str, ...]:
    """Returns a line for each kind of files in a tree that a worktree has here, and none at a worker."""
    lfs = "files of Git LFS are pointers at workers, also those that this repository has"
    modules = "submodules are empty folders at workers"
    return (lfs,) * has_lfs_files(repo) + (modules,) * bool(repo.objects.find_entry(tree, ".gitmodules"))


def open_remote(tools: RemoteTools, local: Workplaces) -> RemoteWorkplaces:
    """Returns the workplaces of a run by its table `[executor]`; nothing is connected to yet."""
    repo, config = tools.repo, tools.config
    patience = require_duration(config.executor.no_worker)
    members = PoolMembers(tools.tell, patience, old=tools.old, expected={*tools.hosts})
    tables = {
        name: json.encode(table) for name, table in config.agents.items() if isinstance(table, ProcessTable)
    }
    secrets = collect_secrets(config, tables, tools.environment, repo.root)
    environment = remove_sent(tools.environment, secrets)
    carrier = open_carrier(CarrierTools(config.executor, environment, repo.root, tools.tell))
    pool = PoolTools(repo, tools.git, tools.folder, _make_welcome(repo), secrets)
    return RemoteWorkplaces(tools, local, WorkerPool(carrier, pool, members), tables)


def _make_welcome(repo: Repository) -> Welcome:
    ends = repo.line_ends
    eol = (("core.autocrlf", "true" if ends.on_disk else "input"),) if ends.stored else ()
    eol = eol or ((("core.eol", "crlf"),) if ends.on_disk else ())
    files = tuple(
        (key, value) for key, value in repo.files_config.items() if not key.startswith("core.sparse")
    )
    return Welcome(
        protocol=PROTOCOL,
        version=__version__,
        repository=hashlib.sha256(str(repo.common_dir).encode(errors="surrogateescape")).hexdigest()[:16],
        object_format="sha256" if repo.id_bytes == 32 else "sha1",
        settings=(*files, *eol),
        attributes=repo.attributes,
    )
