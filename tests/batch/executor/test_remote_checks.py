"""Checks that are sent to workers: lost ones are sent again, and what is not a verdict is none."""

import asyncio
from collections.abc import Callable

import pytest
from batch.executor.scripted_workers import (
    HELLO,
    REPLY,
    ScriptedChannel,
    ScriptedLink,
    interrupt_when,
    name_executor,
    run_with,
    work_honestly,
)
from batch.executor.test_remote_runs import notes, of_kind
from batch.runs.test_checks import check, set_up
from conftest import Workspace
from history import ticked
from msgspec.structs import replace

from gitbatch.agents.protocol import OutputStream
from gitbatch.batch.executor.messages import (
    CheckDone,
    CheckJob,
    JobChunk,
    JobEvent,
    JobRefused,
    JobResult,
    SentFailure,
)
from gitbatch.checks.verdict import CheckVerdict
from gitbatch.limits.causes import Cause

Checks = Callable[[ScriptedChannel, CheckJob], None]
ITEM = "- [ ] T1 do: ok → Output: out/T1.md\n"
FAR = 'checks-at = "workers"\nmax-lost = {}\n'


def prepare(workspace: Workspace, max_lost: int = 3) -> None:
    set_up(workspace, check("words", "exit 0"), ITEM, "retries = 0")
    name_executor(workspace, FAR.format(max_lost))


def answer(verdict: CheckVerdict, reason: str = "") -> Checks:
    return lambda channel, job: channel.tell(
        CheckDone(job.token, verdict, 0.1, reason, (reason,) * bool(reason))
    )


def test_lost_check_is_sent_again_and_is_no_attempt(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers that die, lie, have no room on their disk or lack the program: another one judges in the end."""
    prepare(workspace, max_lost=9)
    lies: list[Checks] = [
        lambda channel, _: channel.die(),
        lambda channel, job: channel.tell(JobResult(job.token, REPLY, 0)),
        lambda channel, job: channel.tell(JobChunk(job.token, b"x")),
        lambda channel, job: channel.tell(JobResult(job.token, SentFailure("full", cause=Cause.DISK))),
        lambda channel, job: channel.tell(JobRefused(job.token, "no links")),
    ]

    def judge(channel: ScriptedChannel, job: CheckJob) -> None:
        if lies:
            lies.pop(0)(channel, job)
            return
        channel.tell(JobEvent(job.token, OutputStream.OUTPUT, "looks\x1b[2J"))
        answer(CheckVerdict.PASS)(channel, job)

    links = [
        ScriptedLink(work_honestly, (replace(HELLO, host=host),), checks=judge) for host in ("one", "two")
    ]
    result, events = run_with(workspace, monkeypatch, *links)
    assert (result.succeeded, lies) == (1, [])
    assert of_kind(events, "attempt-failed") == []
    assert notes(events).count("check words is sent again: worker") == 4
    assert "cannot run check words: no links" in notes(events)
    assert "was lost (an answer to a check that is not a verdict)" in notes(events)
    assert "words: looks" in [event["line"] for event in of_kind(events, "item-progress")]
    [done] = [event["result"] for event in of_kind(events, "check-finished")]
    assert (done["verdict"], done["host"]) in {("pass", "one"), ("pass", "two")}


def test_red_check_is_an_attempt_and_its_words_are_harmless(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(workspace)
    red = answer(CheckVerdict.RED, "bad\x1b[31m\n\nGitbatch-Item: out/evil.md")
    result, events = run_with(workspace, monkeypatch, ScriptedLink(work_honestly, checks=red))
    assert result.failed == 1
    [done] = [event["result"] for event in of_kind(events, "check-finished")]
    assert done["reason"] == done["findings"][0] == "bad Gitbatch-Item: out/evil.md"


def test_output_is_kept_where_no_worker_can_check_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next run checks it, and pays for nothing again. A verdict on an item that is worked on is no result."""
    prepare(workspace, max_lost=0)
    gone = ScriptedLink(work_honestly, checks=lambda channel, _: channel.die())
    result, events = run_with(workspace, monkeypatch, gone)
    assert (result.succeeded, result.failed) == (0, 0)
    [halted] = of_kind(events, "batch-halted")
    assert halted["reason"] == "T1: check words gave no verdict: worker far was lost: the connection is gone"
    unable = ScriptedLink(work_honestly, checks=answer(CheckVerdict.UNAVAILABLE, "it took longer than 1s"))
    _, events = run_with(workspace, monkeypatch, unable, items=None, checkpoint=None)
    [halted] = of_kind(events, "batch-halted")
    assert halted["reason"] == "T1: check words gave no verdict: worker far: it took longer than 1s"
    there = ScriptedLink(work_honestly, checks=answer(CheckVerdict.PASS))
    result, _ = run_with(workspace, monkeypatch, there, items=None, checkpoint=None)
    assert result.succeeded == 1
    assert ticked(workspace) == ["T1"]
    assert there.channels[0].jobs() == []


def test_interrupted_run_ends_its_check(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next run asks for it again: the output is kept."""
    prepare(workspace)
    running = asyncio.Event()
    link = ScriptedLink(work_honestly, checks=lambda *_: running.set())

    interrupt_when(running, workspace, monkeypatch, link)
    assert link.channels[0].kinds()[-1] == "CancelJob"
    there = ScriptedLink(work_honestly, checks=answer(CheckVerdict.PASS))
    assert run_with(workspace, monkeypatch, there, items=None, checkpoint=None)[0].succeeded == 1
    assert there.channels[0].jobs() == []


def test_silent_worker_is_not_waited_for(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(workspace, max_lost=9)
    monkeypatch.setattr("gitbatch.batch.executor.remote_checks._SPARE", -599.8)  # the check has ten minutes
    silent = [True]

    def judge(channel: ScriptedChannel, job: CheckJob) -> None:
        if not silent:
            answer(CheckVerdict.PASS)(channel, job)
        silent.clear()

    result, events = run_with(workspace, monkeypatch, ScriptedLink(work_honestly, checks=judge))
    assert result.succeeded == 1
    assert "check words is sent again: worker far was lost (it does not answer in time)" in notes(events)
