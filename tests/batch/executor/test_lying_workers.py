"""Workers that lie about what they have, answer twice, or answer for others: what is taken of it."""

import asyncio

import pytest
from batch.executor.scripted_workers import (
    HELLO,
    REPLY,
    ScriptedChannel,
    ScriptedLink,
    give_output,
    name_executor,
    run_with,
    work_honestly,
)
from batch.executor.test_remote_runs import notes, of_kind
from batch.executor.test_unfit_workers import FULL
from batch.programs import set_up
from conftest import Workspace
from msgspec.structs import replace

from gitbatch.agents.protocol import OutputStream
from gitbatch.batch.executor.messages import (
    FromWorker,
    ItemJob,
    JobChanges,
    JobChunk,
    JobEvent,
    JobRefused,
    JobResult,
    NoSlot,
    SentReply,
    SentUsage,
)
from gitbatch.batch.executor.pool_members import PoolMembers
from gitbatch.text import clean_text

TOKEN = "ab" * 16


def test_first_result_counts(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """What follows it changes neither output nor cost; what the worker says of the next item is heard."""
    set_up(workspace, "ok", "ok")
    name_executor(workspace)

    async def answer_twice(channel: ScriptedChannel, job: ItemJob) -> None:
        token, line = job.token, JobEvent(job.token, OutputStream.OUTPUT, "after the end")
        paid = JobResult(token, SentReply("Paid. Once.", usage=SentUsage(cost=1.0)), 6)
        again = JobResult(token, SentReply("Paid. Twice.", usage=SentUsage(cost=7.0)), 5)
        channel.tell(JobChunk(token, b"first\n"), paid, line, JobChanges(token, ("task.md",)))
        channel.tell(JobChunk(token, b"other"), again)

    result, events = run_with(workspace, monkeypatch, ScriptedLink(answer_twice), jobs=1)
    assert (result.succeeded, result.failed) == (2, 0)
    assert workspace.git("show", "main:out/T1.md") == "first"
    spent = [event["outcome"]["spent"]["usage"]["cost"] for event in of_kind(events, "item-finished")]
    assert spent == [1.0, 1.0]
    assert of_kind(events, "item-progress") == []


def test_result_for_the_item_of_another_worker_is_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok", "ok")
    name_executor(workspace, "max-lost = 0\n")
    given: dict[str, str] = {}

    async def answer_for_other(channel: ScriptedChannel, job: ItemJob) -> None:
        assert channel.jobs() == [job]
        await both.wait()
        channel.tell(JobResult(given["honest"], REPLY, 0))

    async def wait_for_liar(channel: ScriptedChannel, job: ItemJob) -> None:
        given["honest"] = job.token
        await both.wait()
        channel.tell(*give_output(job))

    both = asyncio.Barrier(2)
    liar = ScriptedLink(answer_for_other, (replace(HELLO, host="liar", slots=1),))
    honest = ScriptedLink(wait_for_liar, (replace(HELLO, slots=1),))
    result, events = run_with(workspace, monkeypatch, liar, honest)
    assert (result.succeeded, result.failed) == (1, 1)
    assert "worker liar was lost: it answers for something that it was not asked for" in notes(events)
    said = workspace.git("log", "--format=%(trailers:key=Gitbatch-Host,valueonly)", "main").split()
    assert said == ["far"]


@pytest.mark.parametrize(
    "answer",
    [NoSlot(TOKEN, 2), JobRefused(TOKEN, "no key"), JobResult(TOKEN, FULL)],
    ids=["slot", "key", "disk"],
)
def test_worker_that_names_a_result_and_does_not_have_it_is_asked_once(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, answer: FromWorker
) -> None:
    set_up(workspace, "ok")
    name_executor(workspace)
    monkeypatch.setattr("gitbatch.batch.executor.remote_workplace.make_token", lambda *_: TOKEN)

    async def lack(channel: ScriptedChannel, job: ItemJob) -> None:
        assert channel.jobs() == [job]
        channel.tell(answer)

    liar = ScriptedLink(lack, (replace(HELLO, host="liar", slots=1, spooled=(TOKEN,)), HELLO))
    result, events = run_with(
        workspace, monkeypatch, liar, ScriptedLink(work_honestly, (replace(HELLO, slots=9),))
    )
    assert result.succeeded == 1
    assert [event["host"] for event in of_kind(events, "item-sent")] == ["liar", "far"]


def test_worker_has_no_more_than_its_greeting_may_hold() -> None:
    """However often it comes back and names other results."""
    members = PoolMembers(lambda _: None, 1.0)
    member = members.add_member(ScriptedLink(work_honestly))
    channel = ScriptedChannel(work_honestly, HELLO)
    for number in range(3):
        tokens = tuple(f"{number:016x}{each:016x}" for each in range(2_000))
        member.begin_connection(channel, replace(HELLO, spooled=tokens, running=tokens))
        members.note_greeting(member)
        assert len(member.spooled) == len(member.running) == len(members._keeping) == 2_000
        members.note_lost(member, clean_text("gone"))
    assert members._keeping == {}


def test_result_is_kept_by_those_that_name_it_until_they_are_lost() -> None:
    members = PoolMembers(lambda _: None, 1.0)
    named = replace(HELLO, spooled=(TOKEN,))
    both = [members.add_member(ScriptedLink(work_honestly)) for _ in range(3)]
    for member in (*both, both[0]):
        member.begin_connection(ScriptedChannel(work_honestly, HELLO), named)
        members.note_greeting(member)
    assert {*members._keeping[TOKEN]} == {*both}
    for left in ({both[1], both[2]}, {both[2]}):
        members.note_lost(next(each for each in both if each.channel), clean_text("gone"))
        assert {*members._keeping[TOKEN]} == left
    assert members.take_recorded(frozenset({TOKEN})) == {both[2]: [TOKEN]}
    assert members._keeping == {}
