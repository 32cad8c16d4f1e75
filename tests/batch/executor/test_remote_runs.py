"""Runs whose items are sent to workers: what an honest one gives, and what a lying, dying or missing one can do."""

import asyncio
from typing import Any

import pytest
from batch.executor.scripted_workers import (
    HELLO,
    REPLY,
    ScriptedChannel,
    ScriptedLink,
    give_output,
    interrupt_when,
    name_executor,
    run_with,
    use_links,
    work_honestly,
)
from batch.programs import set_up
from conftest import Here, Workspace
from history import audit, ticked
from msgspec.structs import replace
from pauses import run_with as run_with_pauses
from waiting import HeldLimits, wait_until_async

from gitbatch.agents.protocol import OutputStream
from gitbatch.batch.executor.messages import (
    CHUNK_BYTES,
    Alive,
    Bye,
    ForgetJobs,
    ItemJob,
    JobChanges,
    JobChunk,
    JobEvent,
    JobResult,
    SentFailure,
    SentReply,
    SentUsage,
)
from gitbatch.batch.session import Session
from gitbatch.limits.causes import Cause
from gitbatch.view.run_end import describe_end

OTHER = "f" * 32


def of_kind(events: list[Any], kind: str) -> list[Any]:
    return [event for event in events if event["event"] == kind]


def notes(events: list[Any]) -> str:
    return "\n".join(event["text"] for event in of_kind(events, "notice"))


def test_items_are_sent_and_what_comes_back_is_committed_here(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, here: Here
) -> None:
    set_up(workspace, "ok", "ok", "ok")
    name_executor(workspace)
    link = ScriptedLink(work_honestly)
    result, events = run_with(workspace, monkeypatch, link)
    assert (result.succeeded, result.failed) == (3, 0)
    assert ticked(workspace) == ["T1", "T2", "T3"]
    assert workspace.git("show", "main:out/T1.md") == "by out/T1.md"
    assert "Gitbatch-Host: far" in workspace.git("log", "--grep=T1", "--format=%B")
    assert len(audit(workspace).items) == 3
    assert "worker far: 2 slots, sandbox bubblewrap" in notes(events)
    assert [event["host"] for event in of_kind(events, "item-sent")] == ["far"] * 3
    _, page, _ = here("show", "T1")
    assert "agent told, on far" in page
    _, report, _ = here("report", "--html", "-")
    assert "agent told, on far" in report
    [channel] = link.channels
    assert sum(len(message.tokens) for message in channel.said if isinstance(message, ForgetJobs)) == 3
    # The second item of a base needs no object that the first one has brought.
    assert channel.kinds()[:4] == ["Welcome", "PackPart", "PackEnd", "ItemJob"]
    assert channel.kinds().count("PackEnd") == 1
    assert max(len(each.jobs()) for each in link.channels) == 3


async def _tell_lies(channel: ScriptedChannel, job: ItemJob) -> None:  # noqa: C901 - one line a lie
    token, output = job.token, job.assignment.output
    match output.removeprefix("out/T").removesuffix(".md"):
        case "1":  # another path: what comes is the assigned file all the same
            channel.tell(*give_output(job, b"mine\n", "../../evil", "notes.txt"))
        case "2":
            channel.tell(*give_output(job, b"x", "task.md"))
        case "3":
            channel.tell(JobResult(OTHER, REPLY))
        case "4":
            channel.tell(JobResult(token, REPLY, problem="it is a symbolic link"))
        case "5":
            lie = "\x1b[31mOne.\n\nGitbatch-Item: out/evil.md\nTwo. Three. Four. Five."
            channel.tell(JobEvent(token, OutputStream.OUTPUT, "\x1b]0;evil\x07hi\r"))
            channel.tell(JobChunk(token, b"../../etc/passwd"), JobResult(token, SentReply(lie), 16))
        case "6":
            channel.tell(JobChunk(token, b"abc"), JobResult(token, REPLY, 5))
        case "7":
            channel.tell(*[JobChunk(token, bytes(CHUNK_BYTES))] * 5)
        case "8":
            channel.tell(*[JobChanges(token, ("a",) * 256)] * 80)
        case "9":
            channel.tell(JobResult(token, SentReply("Paid. Twice.", usage=SentUsage(cost=-5.0)), 0))
        case "10":
            channel.tell(HELLO)
        case "11":
            channel.tell(JobResult(token, REPLY, 5_000_000))
        case "12":
            channel.tell(JobResult(token, SentFailure("full", cause=Cause.DISK)))


def test_lies_of_a_worker_reach_no_history(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(workspace, *["ok"] * 12)
    workspace.edit("gitbatch.toml", "[batch]", "[batch]\nmax-output-bytes = 1000000")
    name_executor(workspace, "max-lost = 0\n")
    link = ScriptedLink(_tell_lies, (replace(HELLO, slots=1),))
    result, events = run_with(workspace, monkeypatch, link, jobs=1)
    ended = {event["outcome"]["item"]["name"]: event["outcome"] for event in of_kind(events, "item-finished")}
    said = {key: (each["status"], each["cause"], each["reason"]) for key, each in ended.items()}
    assert (result.succeeded, result.failed) == (2, 10)
    assert ticked(workspace) == ["T1", "T5"]
    assert workspace.git("show", "main:out/T1.md") == "mine"
    assert workspace.git("ls-tree", "main", "out/T5.md").startswith("100644 blob")
    assert workspace.git("show", "main:out/T5.md") == "../../etc/passwd"
    message = workspace.git("log", "--grep=^T5", "--format=%B")
    assert "One. Gitbatch-Item: out/evil.md Two. Three." in message.replace("\n", " ")
    assert "Four" not in message
    assert len(audit(workspace).items) == 2
    assert said["T2"][:2] == ("refused", "wrote-outside-output")
    assert "symbolic link" in said["T4"][2]
    assert "5000000 bytes, more than the limit" in said["T11"][2]
    lost = {
        "T3": "for something that it was not asked for",
        "T6": "3 of 5 bytes",
        "T7": "more bytes of an output than are allowed",
        "T8": "more than 20,000 changed paths",
        "T9": "invalid message",
        "T10": "greets again",
        "T12": "full",
    }
    assert {key: said[key][1] for key in lost} == dict.fromkeys(lost, "worker-lost")
    assert all(words in said[key][2] for key, words in lost.items())
    lines = [event["line"] for event in of_kind(events, "item-progress")]
    assert lines == ["hi"]


def test_lost_worker_costs_no_retry_but_is_counted(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok")
    workspace.edit("gitbatch.toml", "[batch]", "[batch]\nretries = 0")
    name_executor(workspace)
    sent: list[str] = []

    async def die_twice(channel: ScriptedChannel, job: ItemJob) -> None:
        sent.append(job.token)
        if len(sent) <= 2:
            channel.tell(JobEvent(job.token, OutputStream.OUTPUT, "half"))
            channel.die()
        else:
            channel.tell(*give_output(job))

    result, events = run_with(workspace, monkeypatch, ScriptedLink(die_twice))
    assert (result.succeeded, result.failed) == (1, 0)
    assert len(set(sent)) == 1  # the same token: what is in a spool would be taken
    [done] = of_kind(events, "item-finished")
    assert done["outcome"]["attempts"] == 1
    assert done["outcome"]["spent"]["unknown"] == 3
    failed = of_kind(events, "attempt-failed")
    assert [(each["outcome"]["cause"], each["counts"]) for each in failed] == [("worker-lost", False)] * 2


def test_item_that_its_worker_never_survives_fails(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok")
    name_executor(workspace, "max-lost = 1\n")

    async def die(channel: ScriptedChannel, job: ItemJob) -> None:
        assert job.slug
        channel.die()

    link = ScriptedLink(die)
    result, events = run_with(workspace, monkeypatch, link)
    assert (result.succeeded, result.failed) == (0, 1)
    assert of_kind(events, "item-finished")[0]["outcome"]["cause"] == "worker-lost"
    assert sum(len(channel.jobs()) for channel in link.channels) == 2


def test_result_in_a_spool_is_taken_without_sending_objects(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first connection is cut while its agent works; when the worker is back, it has the result."""
    set_up(workspace, "ok")
    name_executor(workspace)
    link = ScriptedLink(work_honestly)

    async def finish_offline(channel: ScriptedChannel, job: ItemJob) -> None:
        if len(link.channels) == 1:
            link.hellos = (HELLO, replace(HELLO, spooled=(job.token,)))
            channel.die()
        else:
            channel.tell(*give_output(job, b"kept\n"))

    link.script = finish_offline
    result, _ = run_with(workspace, monkeypatch, link)
    assert result.succeeded == 1
    assert workspace.git("show", "main:out/T1.md") == "kept"
    assert link.channels[1].kinds() == ["Welcome", "ItemJob", "ForgetJobs"]


def test_no_worker_halts_with_exit_code_75(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(workspace, "ok")
    name_executor(workspace, 'no-worker = "0.3s"\n')
    monkeypatch.setattr(
        "gitbatch.batch.executor.connecting._LONGEST_PAUSE", 0.01
    )  # each try is much shorter than the wait
    result, events = run_with(workspace, monkeypatch, ScriptedLink(work_honestly, fails=100))
    assert result.halt is not None
    assert (result.halt.cause, describe_end(result, "").code) == (Cause.NO_WORKER, 75)
    assert "scripted: connection refused" in result.halt.reason
    assert "waiting for a worker" in notes(events)
    assert notes(events).count("cannot be reached") == 1
    link = ScriptedLink(work_honestly)
    assert run_with(workspace, monkeypatch, link, items=None, checkpoint=None)[0].succeeded == 1


def test_worker_of_another_protocol_is_refused_by_name(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok")
    name_executor(workspace)
    old = ScriptedLink(work_honestly, (replace(HELLO, protocol=0, version="0.0.9"),))
    result, events = run_with(workspace, monkeypatch, old)
    assert result.halt is not None
    assert result.halt.cause is Cause.NO_WORKER
    assert "gitbatch 0.0.9 (protocol 0), here is" in notes(events)


def test_job_that_takes_too_long_is_given_up(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its worker is still there, and ends its other jobs."""
    set_up(workspace, "ok", "ok")
    name_executor(workspace)
    monkeypatch.setattr("gitbatch.batch.executor.remote_workplace._SPARE", 7.0)
    limits = HeldLimits(monkeypatch, 60.0 + 7.0)
    heard: list[str] = []

    async def say_nothing_first(channel: ScriptedChannel, job: ItemJob) -> None:
        heard.append(job.token)
        if len(heard) == 1:
            await wait_until_async(lambda: limits.begun, "its time has begun")
            limits.expire(later=False)
        elif heard.count(heard[0]) > 1:
            again.set()
        elif job.token != heard[0]:
            await again.wait()
        if again.is_set():
            channel.tell(*give_output(job))

    again = asyncio.Event()
    link = ScriptedLink(say_nothing_first)
    result, events = run_with(workspace, monkeypatch, link)
    assert result.succeeded == 2
    assert "worker far: it does not answer in time" in notes(events)
    assert len(link.channels) == 1
    assert link.channels[0].kinds().count("CancelJob") >= 1


def test_interrupted_run_cancels_its_jobs(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(workspace, "ok")
    name_executor(workspace)

    async def never(channel: ScriptedChannel, job: ItemJob) -> None:
        assert channel.jobs() == [job]
        running.set()
        await asyncio.Event().wait()

    running = asyncio.Event()
    link = ScriptedLink(never)

    interrupt_when(running, workspace, monkeypatch, link)
    [channel] = link.channels
    assert channel.kinds()[-1] == "CancelJob"
    assert ticked(workspace) == []


def test_flood_of_lines_is_cut(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(workspace, "ok")
    name_executor(workspace)
    monkeypatch.setattr("gitbatch.batch.executor.incoming_job.MOST_LINES", 3)

    async def talk(channel: ScriptedChannel, job: ItemJob) -> None:
        channel.tell(*[JobEvent(job.token, OutputStream.OUTPUT, "x")] * 10, *give_output(job))

    _, events = run_with(workspace, monkeypatch, ScriptedLink(talk))
    lines = [event["line"] for event in of_kind(events, "item-progress")]
    assert lines == ["x", "x", "x", "(more than 3 lines: the rest is not shown)"]


def test_worker_that_stops_gets_no_further_item(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok", "ok", "ok")
    name_executor(workspace)

    async def stop_after(channel: ScriptedChannel, job: ItemJob) -> None:
        channel.tell(Alive(takes_jobs=False), *give_output(job))

    first = ScriptedLink(stop_after, (replace(HELLO, slots=3),))
    second = ScriptedLink(work_honestly, (replace(HELLO, host="other"),))
    result, events = run_with(workspace, monkeypatch, first, second, jobs=1)
    assert result.succeeded == 3
    assert [event["host"] for event in of_kind(events, "item-sent")] == ["far", "other", "other"]


def test_job_that_could_not_be_sent_has_cost_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok")
    name_executor(workspace)
    link = ScriptedLink(work_honestly, breaks_at=1)
    result, events = run_with(workspace, monkeypatch, link)
    assert result.succeeded == 1
    [failed] = of_kind(events, "attempt-failed")
    assert failed["outcome"]["cause"] == "worker-lost"
    assert failed["outcome"]["spent"]["usage"]["cost"] == 0.0


def test_no_worker_is_kept_while_a_person_reviews(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok", "ok", groups=2)
    name_executor(workspace)
    link = ScriptedLink(work_honestly)
    use_links(monkeypatch, link)
    told: list[bool] = []

    def look(_: Session) -> bool:
        told.append(isinstance(link.channels[-1].said[-1], Bye))
        return True

    result, _, _ = run_with_pauses(workspace, monkeypatch, look, look, items="all")
    assert (result.succeeded, told) == (2, [True, True])
    assert [len(channel.jobs()) for channel in link.channels] == [1, 1]
