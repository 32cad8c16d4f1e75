"""Items that wait for a slot of a worker: they start only if the batch still allows it when there is one."""

import asyncio
import itertools
import math
from dataclasses import dataclass, field
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from batch.executor.scripted_workers import (
    HELLO,
    REPLY,
    ScriptedChannel,
    ScriptedLink,
    name_executor,
    run_with,
)
from batch.executor.test_incoming_job import TOKEN, receive
from batch.programs import set_up
from conftest import Workspace
from history import ticked
from msgspec.structs import replace

from gitbatch.batch.ending import Ending
from gitbatch.batch.executor.incoming_job import IncomingJob
from gitbatch.batch.executor.messages import (
    Alive,
    ItemJob,
    JobChunk,
    JobResult,
    NoSlot,
    SentFailure,
    SentUsage,
)
from gitbatch.batch.executor.pool_members import NoWorker, PoolMembers
from gitbatch.batch.executor.worker_pool import WorkerPool
from gitbatch.batch.group.early_pool import EarlyPool
from gitbatch.batch.history.ledger import SpendingLimits
from gitbatch.batch.model import CheckpointMode
from gitbatch.batch.planning.early.eagerness import EagerMode
from gitbatch.limits.causes import Cause

ONE_SLOT = replace(HELLO, slots=1)
PAID = replace(REPLY, usage=SentUsage("m", 10, 5, requests=1, cost=0.4))


def answer_paid(channel: ScriptedChannel, job: ItemJob) -> None:
    channel.tell(JobChunk(job.token, b"page\n"), JobResult(job.token, PAID, 5))


async def work_for_money(channel: ScriptedChannel, job: ItemJob) -> None:
    answer_paid(channel, job)


def sent_items(link: ScriptedLink) -> list[str]:
    """The items whose agents were started."""
    return [job.assignment.output for channel in link.channels for job in channel.jobs()]


def of_kind(events: list[Any], kind: str) -> list[Any]:
    return [event for event in events if event["event"] == kind]


@pytest.mark.parametrize(("limit", "most"), [("max-cost = 0.9", 2), ("max-tokens = 40", 3)])
def test_limit_that_is_reached_meanwhile_keeps_waiting_items_from_starting(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    """All six are asked for before any cost is known; the worker has one slot."""
    set_up(workspace, *["ok"] * 6, batch=limit, agent="reports-usage = true")
    name_executor(workspace)
    link = ScriptedLink(work_for_money, (ONE_SLOT,))
    result, events = run_with(workspace, monkeypatch, link, jobs=6)
    assert result.halt is not None
    assert result.halt.cause is Cause.BUDGET
    assert len(sent_items(link)) == most
    assert len(of_kind(events, "item-finished")) == most
    assert not of_kind(events, "attempt-failed")
    # The others are as if they had never been asked for: they run when more may be spent.
    link = ScriptedLink(work_for_money, (ONE_SLOT,))
    result, _ = run_with(
        workspace, monkeypatch, link, jobs=6, items=None, checkpoint=None, limits=SpendingLimits(9.0, 900)
    )
    assert result.succeeded == 6
    assert len(sent_items(link)) == 6 - most
    assert len(ticked(workspace)) == 6


def test_batch_that_halts_sends_no_waiting_item(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok", "ok", "ok", "ok")
    name_executor(workspace)

    async def lack_credit(channel: ScriptedChannel, job: ItemJob) -> None:
        channel.tell(JobResult(job.token, SentFailure("no credit", cause=Cause.FATAL)))

    link = ScriptedLink(lack_credit, (ONE_SLOT,))
    result, _ = run_with(workspace, monkeypatch, link, jobs=4)
    assert result.halt is not None
    assert "no credit" in result.halt.reason
    assert len(sent_items(link)) == 1


def test_waiting_items_wait_for_a_busy_server_too(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first is told to come back; none of the others asks the server before that."""
    set_up(workspace, "ok", "ok", "ok")
    name_executor(workspace)
    failed_at = 0.0
    early: list[str] = []

    async def be_busy_once(channel: ScriptedChannel, job: ItemJob) -> None:
        nonlocal failed_at
        now = asyncio.get_running_loop().time()
        if not failed_at:
            failed_at = now
            busy = SentFailure("busy", cause=Cause.BUSY, retry_after=0.2)
            channel.tell(JobResult(job.token, busy))
            return
        early.extend([job.assignment.output] if now < failed_at + 0.2 else [])
        answer_paid(channel, job)

    link = ScriptedLink(be_busy_once, (ONE_SLOT,))
    result, _ = run_with(workspace, monkeypatch, link, jobs=3)
    assert result.succeeded == 3
    assert early == []


def test_wait_for_a_slot_is_no_time_of_the_item(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock of the wait runs backwards here: what is subtracted is added."""
    set_up(workspace, "ok")
    name_executor(workspace)
    clock = itertools.count(0.0, -100.0)
    monkeypatch.setattr(
        "gitbatch.batch.executor.remote_workplace.time", SimpleNamespace(monotonic=lambda: next(clock))
    )
    _, events = run_with(workspace, monkeypatch, ScriptedLink(work_for_money))
    [done] = of_kind(events, "item-finished")
    assert done["outcome"]["seconds"] >= 100


@dataclass
class LateLink(ScriptedLink):
    """A worker that greets when all items have asked for a slot."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def connect(self) -> ScriptedChannel:
        await self.asked.wait()
        return await super().connect()

    def wait_for_items(self, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
        """Greet when that number of items has asked."""
        tokens: set[str] = set()
        take = WorkerPool.take_member

        async def note_asking(pool: WorkerPool, job: IncomingJob, *given: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on
            tokens.add(job.token)
            if len(tokens) == count:
                self.asked.set()
            return await take(pool, job, *given, **named)

        monkeypatch.setattr(WorkerPool, "take_member", note_asking)


def set_up_early(workspace: Workspace, count: int) -> None:
    """A plan of groups with one item each, which read nothing of each other."""
    set_up(workspace, *["ok"] * count, groups=count)
    workspace.write(
        "task.md", workspace.read("task.md").replace(" → Output", " (context: agent.sh) → Output")
    )
    name_executor(workspace)


@pytest.mark.rule("F2")
def test_early_items_take_no_slot_that_the_open_group_waits_for(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They ask first: the items of the open group are scheduled when it opens."""
    set_up_early(workspace, 4)
    link = LateLink(work_for_money, (ONE_SLOT,))
    link.wait_for_items(monkeypatch, 4)
    result, _ = run_with(workspace, monkeypatch, link, jobs=4, eager=EagerMode.ON)
    assert result.succeeded == 4
    assert sent_items(link)[0] == "out/T1.md"


@pytest.mark.rule("F2")
def test_early_items_that_wait_for_a_slot_do_not_start_in_a_pause(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of them runs when the group is recorded, and is finished; the others wait for the end of the pause."""
    set_up_early(workspace, 5)
    paused = asyncio.Event()
    finish = EarlyPool.finish_items

    async def note_pause(pool: EarlyPool) -> None:
        ending = asyncio.ensure_future(finish(pool))
        await asyncio.sleep(0)
        paused.set()
        await ending

    monkeypatch.setattr(EarlyPool, "finish_items", note_pause)

    async def hold_early_ones(channel: ScriptedChannel, job: ItemJob) -> None:
        if job.assignment.output != "out/T1.md":
            await paused.wait()
        answer_paid(channel, job)

    link = LateLink(hold_early_ones, (ONE_SLOT,))
    link.wait_for_items(monkeypatch, 5)
    every = CheckpointMode.parse("after-each")
    result, _ = run_with(workspace, monkeypatch, link, jobs=5, eager=EagerMode.ON, checkpoint=every)
    assert result.ending is Ending.PAUSED
    assert len(sent_items(link)) == 2
    later = ScriptedLink(work_for_money, (ONE_SLOT,))
    result, _ = run_with(
        workspace,
        monkeypatch,
        later,
        jobs=5,
        items=None,
        checkpoint=CheckpointMode.parse("at-end"),
        continues=True,
    )
    assert (result.succeeded, len(sent_items(later))) == (5, 3)


def test_run_waits_for_slots_that_other_runs_have(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as their agents take: here `no-worker` has passed at once."""
    set_up(workspace, "ok", "ok")
    name_executor(workspace)
    refused: set[str] = set()

    async def have_no_slot_first(channel: ScriptedChannel, job: ItemJob) -> None:
        if job.token in refused:
            answer_paid(channel, job)
        else:
            refused.add(job.token)
            channel.tell(NoSlot(job.token, 0))

    link = ScriptedLink(have_no_slot_first)
    find = PoolMembers.find_why_none

    def find_and_offer(members: PoolMembers) -> NoWorker | None:
        is_taken = len(refused) == 2 and not members.all[0].slots
        members.no_worker = 0.0 if is_taken else members.no_worker
        found = find(members)
        if is_taken:
            link.channels[0].tell(Alive(slots=2))
        return found

    monkeypatch.setattr(PoolMembers, "find_why_none", find_and_offer)
    result, events = run_with(workspace, monkeypatch, link)
    assert result.succeeded == 2
    orders = [
        [event["event"] for event in events if event.get("item") == f"out/T{number}.md"] for number in (1, 2)
    ]
    queued = [order for order in orders if "item-queued" in order]
    assert queued, orders
    for order in queued:  # the first answer may come before the second item is sent
        assert order[order.index("item-queued") + 1] == "item-sent"


def test_wait_for_slots_of_other_runs_is_said_once() -> None:
    told: list[str] = []
    members = PoolMembers(told.append, 0.0)
    member, other = (members.add_member(ScriptedLink(work_for_money)) for _ in range(2))
    for each in (member, other):
        each.begin_connection(ScriptedChannel(work_for_money, HELLO), HELLO)
        members.note_greeting(each)
    other.take_message(Alive(slots=0))
    assert (members.find_why_none(), told) == (None, [])
    member.take_message(Alive(slots=0))
    assert members.find_why_none() is None
    member.take_message(Alive(slots=1))
    member.take_message(Alive(slots=0))
    assert members.find_why_none() is None
    assert members.find_patience("b", math.inf) is None
    assert told == ["waiting for a slot: other runs have them all (4 slots of 2 workers)"]
    member.take_message(Alive(takes_jobs=False))
    other.take_message(Alive(takes_jobs=False))
    member.take_message(Alive())  # shows that it is there
    assert members.find_why_none()


def test_worker_without_slots_is_there_while_it_works() -> None:
    """It was asked to stop, and finishes what it has; one that comes back with slots is there again."""
    members = PoolMembers(lambda _: None, 0.0)
    member = members.add_member(ScriptedLink(work_for_money))
    channel = ScriptedChannel(work_for_money, ONE_SLOT)
    member.begin_connection(channel, ONE_SLOT)
    members.note_greeting(member)
    member.jobs[TOKEN] = receive(BytesIO())
    member.take_message(Alive(takes_jobs=False))
    members.note_slots()
    assert members.find_why_none() is None
    assert members.find_patience("b", math.inf) is None
    del member.jobs[TOKEN]
    members.note_room(member)
    missing = members.find_why_none()
    assert missing
    assert "it was asked to stop" in missing.reason
    assert members.find_patience("b", math.inf) is not None
    member.take_message(Alive(slots=1))
    members.note_room(member)
    assert members.find_why_none() is None
