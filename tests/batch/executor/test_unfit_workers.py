"""Workers that connect and can do nothing, wait in a queue, or keep others waiting."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest
from batch.executor.scripted_workers import (
    HELLO,
    ScriptedChannel,
    ScriptedLink,
    give_output,
    name_executor,
    run_with,
    work_honestly,
)
from batch.executor.test_remote_runs import notes, of_kind
from batch.programs import set_up
from conftest import Workspace
from msgspec.structs import replace
from waiting import DEADLINE, loop_turns

from gitbatch.agents.process.spending import AttemptLimits
from gitbatch.batch.executor.carrier import Carrier, ChannelError
from gitbatch.batch.executor.command_carrier import CommandLink
from gitbatch.batch.executor.frames import MAGIC, pack_frame
from gitbatch.batch.executor.message_codec import encode_message
from gitbatch.batch.executor.messages import Bye, ItemJob, JobResult, SentFailure, SentUsage, ToWorker
from gitbatch.batch.executor.pool_member import PoolMember
from gitbatch.batch.executor.pool_members import PoolMembers
from gitbatch.batch.executor.worker_pool import PoolTools, WorkerPool
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import FREE
from gitbatch.plan.model import ItemKey
from gitbatch.text import clean_text

FULL = SentFailure("No space left on device", cause=Cause.DISK, usage=SentUsage(cost=0.0))


@pytest.mark.parametrize("kept", ["spooled", "running"])
def test_run_waits_for_the_worker_that_has_the_result(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    """After the run was killed, another worker greets first: the item is paid for all the same."""
    set_up(workspace, "ok")
    name_executor(workspace)
    monkeypatch.setattr("gitbatch.batch.executor.remote_workplace.make_token", lambda *_: "ab" * 16)
    idle = ScriptedLink(work_honestly, (replace(HELLO, host="idle", slots=9),))
    busy = ScriptedLink(work_honestly, (replace(HELLO, host="busy", **{kept: ("ab" * 16,)}),))

    async def connect_late() -> ScriptedChannel:
        await loop_turns(200)
        return await ScriptedLink.connect(busy)

    busy.connect = connect_late  # type: ignore[method-assign]
    result, events = run_with(workspace, monkeypatch, idle, busy)
    assert result.succeeded == 1
    assert [event["host"] for event in of_kind(events, "item-sent")] == ["busy"]
    assert ("PackEnd" in busy.channels[0].kinds()) == (kept == "running")


def test_worker_in_a_queue_does_not_keep_the_others_waiting(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok")
    name_executor(workspace)
    monkeypatch.setattr("gitbatch.batch.executor.pool_members._GREETINGS", 0.1)
    queued = ScriptedLink(work_honestly)

    async def wait_long() -> ScriptedChannel:
        await asyncio.Event().wait()
        raise AssertionError

    queued.connect = wait_long  # type: ignore[method-assign]
    assert run_with(workspace, monkeypatch, queued, ScriptedLink(work_honestly))[0].succeeded == 1


async def fail_at_once(channel: ScriptedChannel, job: ItemJob) -> None:
    channel.tell(JobResult(job.token, FULL))


def test_worker_with_a_full_disk_takes_no_item_from_the_others(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It always has room; the items wait for the busy one nevertheless, and nothing is counted."""
    set_up(workspace, *["ok"] * 4)
    name_executor(workspace)
    full = ScriptedLink(fail_at_once, (replace(HELLO, host="full"),))
    able = ScriptedLink(work_honestly, (replace(HELLO, slots=1),))
    result, events = run_with(workspace, monkeypatch, full, able)
    assert (result.succeeded, result.failed) == (4, 0)
    assert of_kind(events, "attempt-failed") == []
    assert "worker full was lost: No space left on device" in notes(events)
    spent = [event["outcome"]["spent"]["unknown"] for event in of_kind(events, "item-finished")]
    assert spent == [1] * 4  # each once, whose agent does not say what it costs


def test_workers_that_can_do_nothing_are_as_none(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok")
    name_executor(workspace, 'no-worker = "0.3s"\nmax-lost = 1000\n')
    result, _ = run_with(workspace, monkeypatch, ScriptedLink(fail_at_once))
    assert result.halt is not None
    assert result.halt.cause is Cause.NO_WORKER
    assert "far: No space left on device" in result.halt.reason


def test_worker_without_the_program_is_named(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(workspace, "ok")
    name_executor(workspace)

    async def lack(channel: ScriptedChannel, job: ItemJob) -> None:
        channel.tell(JobResult(job.token, SentFailure("the program x is not found", cause=Cause.FATAL)))

    result, _ = run_with(workspace, monkeypatch, ScriptedLink(lack))
    assert result.halt is not None
    assert "worker far: the program x is not found" in result.halt.reason


def test_items_that_wait_for_room_are_woken_by_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also after the time for which a batch waits while no worker is there."""
    set_up(workspace, "ok", "ok")
    name_executor(workspace, 'no-worker = "0.01s"\n')
    choose, calls = PoolMembers.choose_member, 0

    def count(members: PoolMembers, *given: Any, **named: Any) -> PoolMember | None:  # noqa: ANN401 - passed on
        nonlocal calls
        calls += 1
        return choose(members, *given, **named)

    async def take_a_while(channel: ScriptedChannel, job: ItemJob) -> None:
        await asyncio.sleep(0.3)
        channel.tell(*give_output(job))

    monkeypatch.setattr(PoolMembers, "choose_member", count)
    able = ScriptedLink(take_a_while, (replace(HELLO, slots=1),))
    assert run_with(workspace, monkeypatch, able)[0].succeeded == 2
    assert calls < 10


def test_what_a_batch_has_left_is_sent(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(workspace, "ok")
    name_executor(workspace)
    left: list[object] = []
    monkeypatch.setattr(Budget, "cost_left_for", lambda *_: 1.25)
    monkeypatch.setattr(Budget, "tokens_left_for", lambda *_: 99)

    async def note(channel: ScriptedChannel, job: ItemJob) -> None:
        left.extend((job.cost_left, job.tokens_left))
        channel.tell(*give_output(job))

    assert run_with(workspace, monkeypatch, ScriptedLink(note))[0].succeeded == 1
    assert left == [1.25, 99]


def test_given_budget_is_that_of_one_job() -> None:
    budget, key = Budget(), ItemKey("a")
    budget.begin_job(key, 2.0)
    budget.charge_request(key, replace(budget.known_usage, cost=0.5, requests=1))
    assert budget.cost_left_for(key) == 1.5
    budget.begin_job(key, 1.0)
    assert budget.cost_left_for(key) == 1.0
    budget.begin_job(key, None)
    assert budget.cost_left_for(key) is None
    assert budget.tokens_left_for(key) is None


def test_given_tokens_are_those_of_one_job() -> None:
    """At a worker, whose budget has no limit of its own, and knows what all its jobs have used."""
    budget, key, other = Budget(), ItemKey("a"), ItemKey("b")
    budget.charge_request(other, replace(budget.known_usage, input=5000))
    budget.begin_job(key, None, 300)
    limits = AttemptLimits(budget, key)
    assert limits.find_reached_tokens(299) is None
    budget.charge_request(key, replace(FREE, input=200, cost=None))
    assert budget.tokens_left_for(key) == 100
    assert limits.find_reached_tokens(299) is None, "200 of them are charged"
    reached = limits.find_reached_tokens(300)
    assert reached == (Cause.BUDGET, "the budget of the batch is reached (tokens)")
    here = Budget(max_tokens=1000)
    here.charge_request(other, replace(FREE, input=400))
    assert here.tokens_left_for(key) == 600


@dataclass
class SlowChannel:
    """A worker that reads nothing, until all are spoken to."""

    told: list[ToWorker]
    heard: list[ToWorker]
    count: int
    all_told: asyncio.Event

    async def send(self, message: ToWorker) -> None:
        self.told.append(message)
        if len(self.told) == self.count:
            self.all_told.set()
        await self.all_told.wait()
        self.heard.append(message)

    async def receive(self) -> list[object]:
        raise ChannelError("nothing")

    async def close(self, patience: float) -> None:
        assert patience == 0.0


def test_workers_are_ended_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not read must not keep the others waiting: Ctrl-C leaves a second for all of them."""
    monkeypatch.setattr("gitbatch.batch.executor.worker_pool._HURRY", DEADLINE)
    told: list[ToWorker] = []
    heard: list[ToWorker] = []

    async def close() -> None:
        all_told = asyncio.Event()
        members = PoolMembers(lambda _: None, 1.0)
        pool = WorkerPool(cast("Carrier", None), cast("PoolTools", None), members)
        for number in range(3):
            channel = SlowChannel(told, heard, 3, all_told)
            member = PoolMember(ScriptedLink(work_honestly), clean_text(str(number)))
            member.channel = channel  # type: ignore[assignment]
            members.all.append(member)
        await pool.close(0.0)

    asyncio.run(close())
    assert [type(message) for message in heard] == [Bye] * 3


def test_worker_that_waits_in_a_queue_has_time_for_its_greeting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitbatch.batch.executor.message_stream.SILENCE", 0.01)
    (tmp_path / "greeting").write_bytes(MAGIC + pack_frame(encode_message(HELLO)))

    async def connect(script: str, greeting: float) -> object:
        link = CommandLink(("sh", "-c", script), {"PATH": "/usr/bin:/bin"}, tmp_path, greeting)
        channel = await link.connect()
        try:
            return await channel.receive()
        finally:
            await channel.close(0.0)

    assert asyncio.run(connect("sleep 0.3; cat greeting; sleep 60", 45.0)) == [HELLO]
    with pytest.raises(ChannelError, match=r"no message for 0\.2 seconds"):
        asyncio.run(connect("sleep 60", 0.2))
