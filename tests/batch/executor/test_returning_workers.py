"""Workers that are lost and come back, with a result or without; and which name each of them has."""

import asyncio
from io import BytesIO
from typing import TYPE_CHECKING, cast

import pytest
from batch.executor.scripted_workers import (
    HELLO,
    REPLY,
    ScriptedCarrier,
    ScriptedChannel,
    ScriptedLink,
    give_output,
    name_executor,
    run_with,
    work_honestly,
)
from batch.executor.test_incoming_job import receive
from batch.executor.test_remote_runs import notes, of_kind
from batch.programs import set_up
from conftest import Workspace
from msgspec.structs import replace
from waiting import loop_turns

from gitbatch.batch.executor.connecting import choose_host, keep_connected
from gitbatch.batch.executor.incoming_job import IncomingJob
from gitbatch.batch.executor.messages import (
    Alive,
    Bye,
    CancelJob,
    ItemJob,
    JobResult,
    JobUsage,
    SentReply,
    SentUsage,
    ToWorker,
)
from gitbatch.batch.executor.pool_member import PoolMember
from gitbatch.batch.executor.pool_members import PoolMembers
from gitbatch.batch.executor.worker_pool import PoolTools, WorkerPool
from gitbatch.limits.causes import Cause
from gitbatch.text import clean_text

if TYPE_CHECKING:
    from gitbatch.batch.executor.carrier import Carrier

TOKEN, OTHER = "ab" * 16, "cd" * 16
BUSY = replace(HELLO, slots=9, host="other")


def make_losing_link(*, keeps_result: bool, reply: SentReply = REPLY) -> ScriptedLink:
    """A worker whose first connection ends with its first job, and that is back soon."""
    link = ScriptedLink(work_honestly, (replace(HELLO, slots=10),))

    async def lose_first(channel: ScriptedChannel, job: ItemJob) -> None:
        if len(link.channels) == 1:
            link.hellos = (HELLO, replace(HELLO, spooled=(job.token,) * keeps_result))
            channel.die()
        else:
            *output, _ = give_output(job, b"kept\n")
            channel.tell(*output, JobResult(job.token, reply, 5))

    link.script = lose_first
    return link


def come_back_after(link: ScriptedLink, begun: asyncio.Event) -> None:
    """Lets a worker be connected to again only after something has begun."""
    connect = link.connect

    async def connect_late() -> ScriptedChannel:
        if link.channels:
            await begun.wait()
        return await connect()

    link.connect = connect_late  # type: ignore[method-assign]


@pytest.mark.parametrize("keeps_result", [True, False], ids=["result", "nothing"])
def test_item_waits_for_the_worker_that_it_was_lost_with(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, *, keeps_result: bool
) -> None:
    set_up(workspace, "ok")
    name_executor(workspace)
    link, other = make_losing_link(keeps_result=keeps_result), ScriptedLink(work_honestly, (BUSY,))
    find, connect, asked = PoolMembers.find_keeping, link.connect, asyncio.Event()

    def note_asking(members: PoolMembers, job: IncomingJob) -> PoolMember | None:
        if link.channels and not members.all[0].channel:
            asked.set()
        return find(members, job)

    async def connect_late() -> ScriptedChannel:
        if link.channels:
            await asked.wait()
        return await connect()

    monkeypatch.setattr(PoolMembers, "find_keeping", note_asking)
    link.connect = connect_late  # type: ignore[method-assign]
    result, events = run_with(workspace, monkeypatch, link, other)
    assert result.succeeded == 1
    assert [event["host"] for event in of_kind(events, "item-sent")] == [
        "far",
        "far" if keeps_result else "other",
    ]
    # The result has the cost of what was cut.
    [done] = of_kind(events, "item-finished")
    assert done["outcome"]["spent"]["unknown"] == (1 if keeps_result else 2)
    assert len(of_kind(events, "attempt-failed")) == (0 if keeps_result else 1)


def test_resume_waits_for_a_worker_that_fails_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its connection is cut again before it has greeted; one that is not there fails twice."""
    set_up(workspace, "ok")
    name_executor(workspace)
    monkeypatch.setattr("gitbatch.batch.executor.remote_workplace.make_token", lambda *_: TOKEN)
    keeping = ScriptedLink(work_honestly, (replace(HELLO, spooled=(TOKEN,)),), fails=1)
    gone = ScriptedLink(work_honestly, name="gone", fails=1000)
    result, events = run_with(workspace, monkeypatch, keeping, gone, ScriptedLink(work_honestly, (BUSY,)))
    assert result.succeeded == 1
    assert [event["host"] for event in of_kind(events, "item-sent")] == ["far"]


def test_result_that_comes_back_ends_the_second_attempt(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is counted: what was lost, at an unknown cost, what the second one has used, and the result that is taken."""
    set_up(workspace, "ok")
    name_executor(workspace)
    monkeypatch.setattr("gitbatch.batch.executor.pool_members._RETURN", 0.0)
    begun = asyncio.Event()

    async def work_on(channel: ScriptedChannel, job: ItemJob) -> None:
        assert channel.jobs() == [job]
        channel.tell(JobUsage(job.token, SentUsage(cost=0.25)))
        begun.set()
        await asyncio.Event().wait()

    paid = replace(REPLY, usage=SentUsage(requests=2, cost=1.0))
    link, other = make_losing_link(keeps_result=True, reply=paid), ScriptedLink(work_on, (BUSY,))
    come_back_after(link, begun)
    result, events = run_with(workspace, monkeypatch, link, other)
    assert result.succeeded == 1
    assert workspace.git("show", "main:out/T1.md") == "kept"
    assert [event["host"] for event in of_kind(events, "item-sent")] == ["far", "other", "far"]
    assert other.channels[0].kinds()[-1] == "CancelJob"
    [done] = of_kind(events, "item-finished")
    spent = done["outcome"]["spent"]
    assert (done["outcome"]["attempts"], spent["unknown"], spent["usage"]["cost"]) == (1, 1, 1.25)


def test_resume_waits_for_a_worker_that_its_scheduler_does_not_know_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The run that was killed has sent items to it; the scheduler was started again too, and another worker was faster."""
    carrier = ScriptedCarrier((), may_find_more=True)
    members = PoolMembers(lambda _: None, 1.0, expected={"far"})
    members.begin_waiting(carrier)
    members._begun -= 10.0  # the scheduler was started that much later than the run
    job = receive(BytesIO())

    def join(host: str, *spooled: str) -> PoolMember:
        member = members.add_member(ScriptedLink(work_honestly))
        member.host = clean_text(host)
        hello = replace(HELLO, host=host, spooled=spooled)
        member.begin_connection(ScriptedChannel(work_honestly, hello), hello)
        members.note_greeting(member)
        return member

    other = join("other")
    assert members.choose_member(job) is None
    with monkeypatch.context() as later:
        later.setattr("gitbatch.batch.executor.pool_members._GREETINGS", 0.0)
        assert members.choose_member(job) is other, "it may have been lost with what it had"
    carrier.may_find_more = False
    assert members.choose_member(job) is other, "all are known"
    members = PoolMembers(lambda _: None, 1.0, expected={"far"})
    members.begin_waiting(ScriptedCarrier((), may_find_more=True))
    join("other")
    keeping = join("far", job.token)
    assert members.choose_member(job) is keeping
    job.token = OTHER
    assert members.choose_member(job), "all that may have something have said so"


def test_limit_that_is_reached_after_a_second_attempt_counts_each_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker that came back with a result does not have it, and works again: to the limit, with what was used before."""
    set_up(workspace, "ok", batch="max-cost = 3", agent="reports-usage = true")
    name_executor(workspace)
    monkeypatch.setattr("gitbatch.batch.executor.pool_members._RETURN", 0.0)
    begun = asyncio.Event()

    async def work_on(channel: ScriptedChannel, job: ItemJob) -> None:
        channel.tell(JobUsage(job.token, SentUsage(cost=1.0)))
        begun.set()

    async def lose_and_work(channel: ScriptedChannel, job: ItemJob) -> None:
        if len(link.channels) == 1:
            link.hellos = (HELLO, replace(HELLO, spooled=(job.token,)))
            channel.die()
        else:
            channel.tell(JobUsage(job.token, SentUsage(cost=2.5)))

    link, other = (
        ScriptedLink(lose_and_work, (replace(HELLO, slots=10),)),
        ScriptedLink(work_on, (BUSY,)),
    )
    come_back_after(link, begun)
    result, events = run_with(workspace, monkeypatch, link, other)
    assert result.halt is not None
    assert result.halt.cause is Cause.BUDGET
    assert [event["usage"]["cost"] for event in of_kind(events, "item-charged")] == [1.0, 2.5]


def test_result_that_came_too_late_is_removed() -> None:
    members = PoolMembers(lambda _: None, 1.0)
    member = members.add_member(ScriptedLink(work_honestly))
    members.recorded = {TOKEN}
    member.spooled = {TOKEN, OTHER}
    assert members.note_greeting(member) == {TOKEN}
    assert member.spooled == {OTHER}


def test_worker_that_was_asked_to_stop_is_not_started_again_at_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok", "ok")
    name_executor(workspace)

    async def stop_after(channel: ScriptedChannel, job: ItemJob) -> None:
        channel.tell(Alive(takes_jobs=False), *give_output(job), Bye("it was asked to stop"))

    async def work_later(channel: ScriptedChannel, job: ItemJob) -> None:
        await asyncio.sleep(0.1)  # much longer than the pause before another worker is connected to again
        channel.tell(*give_output(job))

    link = ScriptedLink(stop_after, (replace(HELLO, slots=10),))
    other = ScriptedLink(work_later, (replace(BUSY, slots=1),))
    result, events = run_with(workspace, monkeypatch, link, other, jobs=1)
    assert result.succeeded == 2
    assert len(link.channels) == 1
    assert "worker far has left: it was asked to stop" in notes(events)


@pytest.mark.parametrize(
    ("commands", "claims", "names"),
    [
        (["ssh a", "ssh b"], ["a", "b"], ["a", "b"]),
        (["ssh a", "ssh b"], ["b", "b"], ["b (1)", "b"]),
        (["ssh u@a", "ssh b"], ["a", "a"], ["a", "a (2)"]),
        (["srun", "srun"], ["node", "node"], ["node", "node (2)"]),
        (["srun", "srun"], ["", "\x1b[31mx\n"], ["srun", "x"]),
        (["srun"], ["x" * 200], ["x" * 89 + "…"]),
    ],
)
def test_workers_have_different_names(commands: list[str], claims: list[str], names: list[str]) -> None:
    """None takes that of a machine which the configuration reaches by another command."""
    members = PoolMembers(lambda _: None, 1.0)
    for command in commands:
        members.add_member(ScriptedLink(work_honestly, name=command))
    for member, claimed in zip(members.all, claims, strict=True):
        member.host = choose_host(members.all, member, claimed)
    assert [member.host for member in members.all] == names


def test_names_of_two_workers_are_told_apart_in_history(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok", "ok")
    name_executor(workspace)

    async def meet(channel: ScriptedChannel, job: ItemJob) -> None:
        await both.wait()
        channel.tell(*give_output(job))

    both = asyncio.Barrier(2)
    first = replace(HELLO, slots=1)
    links = [ScriptedLink(meet, (each,)) for each in (first, replace(first, version="1.1"))]
    _, events = run_with(workspace, monkeypatch, *links)
    assert {event["host"] for event in of_kind(events, "item-sent")} == {"far", "far (2)"}
    said = workspace.git("log", "--format=%(trailers:key=Gitbatch-Host,valueonly)", "main").split("\n")
    assert {line for line in said if line} == {"far", "far (2)"}
    assert "worker far (2): 1 slot, sandbox bubblewrap (scripted)" in notes(events)


def test_what_runs_since_an_earlier_connection_is_ended_with_the_run() -> None:
    async def close() -> list[ToWorker]:
        members = PoolMembers(lambda _: None, 1.0)
        member = members.add_member(ScriptedLink(work_honestly))
        channel = ScriptedChannel(work_honestly, HELLO)
        member.channel, member.running = channel, frozenset({TOKEN, OTHER})
        members.asked = {TOKEN}
        await WorkerPool(cast("Carrier", None), cast("PoolTools", None), members).close(0.0)
        return channel.said

    assert asyncio.run(close()) == [CancelJob(TOKEN), Bye("the run has ended")]


def test_job_whose_result_came_from_another_worker_is_ended() -> None:
    async def greet() -> list[ToWorker]:
        members = PoolMembers(lambda _: None, 1.0, recorded={TOKEN})
        link = ScriptedLink(work_honestly, (replace(HELLO, running=(TOKEN, OTHER)),))
        member = members.add_member(link)
        keeping = asyncio.create_task(keep_connected(members, member, ()))
        await members.changed.wait()
        await loop_turns(20)
        keeping.cancel()
        return link.channels[0].said

    assert asyncio.run(greet()) == [CancelJob(TOKEN)]
