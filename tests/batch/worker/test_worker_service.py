"""A worker in the test's own process: what it does with the messages of an orchestrator, and what it leaves."""

# ruff: noqa: F811 - a parameter has the name of its fixture

import asyncio
import os
import signal
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from batch.worker.orchestrators import KEY, OTHER, TOKEN, Orchestrator, far, talk  # noqa: F401 - a fixture
from msgspec.structs import replace
from waiting import DEADLINE, loop_turns, wait_until_async

from gitbatch.agents.pool import AgentPool
from gitbatch.batch.executor.messages import (
    Alive,
    Bye,
    CancelJob,
    ForgetJobs,
    Hello,
    JobChanges,
    JobChunk,
    JobEvent,
    JobResult,
    PackEnd,
    PackPart,
    SentFailure,
    SentReply,
    Welcome,
)
from gitbatch.batch.executor.shipment import HaveSet
from gitbatch.batch.worker.identity import WorkerIdentity
from gitbatch.batch.worker.item_job import JobTools
from gitbatch.batch.worker.orchestrator_service import OrchestratorService, ServeEnd
from gitbatch.batch.worker.stdio import list_spooled
from gitbatch.limits.causes import Cause
from gitbatch.sandbox.model import SandboxKind

WRITE = "cat >/dev/null; cat a.txt; echo hello >out/a.md; echo x >notes; echo 'A. Wrote it.'"


def test_job_is_done_and_its_result_is_kept_until_it_is_forgotten(far: Orchestrator, tmp_path: Path) -> None:
    once = f"echo >>{tmp_path}/starts; {WRITE}"
    assert talk(far, lambda far: far.send_job(once), Orchestrator.wait_for_result) is ServeEnd.BYE
    first = far.heard
    assert first[0] == Hello(1, first[0].version, "here", 2, "none")  # type: ignore[union-attr]
    assert [event.line for event in far.of(JobEvent)] == ["a", "A. Wrote it."]
    assert sorted(path for each in far.of(JobChanges) for path in each.written) == ["notes", "out/a.md"]
    assert [chunk.data for chunk in far.of(JobChunk)] == [b"hello\n"]
    [result] = far.of(JobResult)
    assert isinstance(result.answer, SentReply)
    assert (result.size, result.answer.summary) == (6, "a A. Wrote it.")
    assert not list(far.settings.folder.glob("work/*"))
    assert list_spooled(far.settings) == (TOKEN,)
    # A new connection: nothing is sent, and nothing runs.
    far.have = HaveSet({"anything"}, set())
    end = [message for message in first if isinstance(message, JobChanges | JobChunk | JobResult)]
    talk(
        far,
        lambda far: far.send_job(once),
        Orchestrator.wait_for_result,
        lambda far: far.send(ForgetJobs((TOKEN,))),
    )
    assert far.heard[0].spooled == (TOKEN,)  # type: ignore[union-attr]
    assert far.heard[1:] == end
    assert (tmp_path / "starts").read_text() == "\n"
    assert list_spooled(far.settings) == ()


def test_further_attempt_on_the_same_branch_starts_from_the_base(far: Orchestrator) -> None:
    def send_again(far: Orchestrator) -> None:
        far.send(msgspec.structs.replace(far.last, token=OTHER))

    script = "[ ! -e out/a.md ] || exit 3; " + WRITE
    again = partial(Orchestrator.wait_for_result, count=2)
    talk(far, lambda far: far.send_job(script), Orchestrator.wait_for_result, send_again, again)
    assert [(type(each.answer), each.size) for each in far.of(JobResult)] == [(SentReply, 6)] * 2


def test_good_bye_and_cancel_leave_no_process(far: Orchestrator, tmp_path: Path) -> None:
    slow = "echo $$ >{}; exec sleep 600"
    pids = [tmp_path / name for name in ("a", "b")]

    def is_alive(path: Path) -> bool:
        try:
            os.kill(int(path.read_text()), 0)
        except ProcessLookupError:
            return False
        return True

    async def wait_for_start(_: Orchestrator) -> None:
        await wait_until_async(lambda: all(path.exists() and path.read_text() for path in pids), pids)

    async def wait_for_end(_: Orchestrator) -> None:
        await wait_until_async(lambda: not is_alive(pids[1]), pids)

    talk(
        far,
        lambda far: far.send_job(slow.format(pids[0])),
        lambda far: far.send_job(slow.format(pids[1]), OTHER),
        wait_for_start,
        lambda far: far.send(CancelJob(OTHER)),
        wait_for_end,
    )
    assert not is_alive(pids[0])
    assert far.of(JobResult) == []
    assert list_spooled(far.settings) == ()


def test_cut_connection_lets_jobs_finish(far: Orchestrator, tmp_path: Path) -> None:
    hold = f"echo begun; while [ ! -e {tmp_path}/go ]; do sleep 0.01; done; {WRITE}"

    async def cut(far: Orchestrator) -> None:
        far.send_job(hold)
        await wait_until_async(lambda: far.of(JobEvent), "it has begun")
        assert far.writer
        far.writer.close()
        (tmp_path / "go").touch()

    assert asyncio.run(far.talk(cut)) is ServeEnd.CUT
    assert list_spooled(far.settings) == (TOKEN,)


def test_agent_of_a_cut_connection_ends_at_its_time_limit(far: Orchestrator) -> None:
    """So none works on for ever whose run was ended while its worker was not connected."""

    async def cut(far: Orchestrator) -> None:
        far.send_job("echo begun; exec sleep 600", seconds=0.5)
        # On a slow machine it may end before it has said anything: the result is the same.
        await wait_until_async(lambda: far.of(JobEvent) or far.of(JobResult), "it has begun")
        assert far.writer
        far.writer.close()

    assert asyncio.run(far.talk(cut)) is ServeEnd.CUT
    talk(far, lambda far: far.send(far.last), Orchestrator.wait_for_result)
    [result] = far.of(JobResult)
    assert isinstance(result.answer, SentFailure)
    assert result.answer.cause is Cause.TIMEOUT


def test_result_is_sent_while_another_process_is_stuck_with_it(far: Orchestrator) -> None:
    """It has spooled it, and sends it on a connection of which the other end is gone without a word."""
    talk(far, lambda far: far.send_job(WRITE), Orchestrator.wait_for_result)
    lock = far.settings.open_spool("0" * 16).lock_job(TOKEN)
    assert lock is not None
    talk(far, lambda far: far.send(far.last), Orchestrator.wait_for_result)
    os.close(lock)


def test_job_that_was_cancelled_may_be_asked_for_again_at_once(far: Orchestrator, tmp_path: Path) -> None:
    slow = f"if mkdir {tmp_path}/begun; then exec sleep 600; fi; {WRITE}"

    async def wait_for_start(_: Orchestrator) -> None:
        await wait_until_async((tmp_path / "begun").exists, "it has begun")

    def cancel_and_ask(far: Orchestrator) -> None:
        far.send(CancelJob(TOKEN), far.last)

    talk(far, lambda far: far.send_job(slow), wait_for_start, cancel_and_ask, Orchestrator.wait_for_result)
    [result] = far.of(JobResult)
    assert (type(result.answer), result.size) == (SentReply, 6)


@pytest.mark.parametrize("is_asked_for", [True, False])
def test_job_of_a_cut_connection_is_cancelled_by_another(
    far: Orchestrator, tmp_path: Path, *, is_asked_for: bool
) -> None:
    """By the run that waits for it there, or that has got its result elsewhere."""
    other = Orchestrator(far.repo, far.settings, far.git, far.pool)

    async def cancel(other: Orchestrator) -> None:
        if is_asked_for:
            other.send(far.last)
            await wait_until_async(lambda: other.service and other.service._jobs, "it waits for the job")
        other.send(CancelJob(TOKEN), Bye())

    async def cut(far: Orchestrator) -> None:
        far.send_job(f"touch {tmp_path}/begun; exec sleep 600")
        await wait_until_async((tmp_path / "begun").exists, "it has begun")
        assert far.writer
        far.writer.close()
        assert await other.talk(cancel) is ServeEnd.BYE

    assert asyncio.run(far.talk(cut)) is ServeEnd.CUT
    assert list_spooled(far.settings) == ()
    assert other.of(JobResult) == []


def test_asked_to_stop_a_worker_finishes_its_jobs(far: Orchestrator, tmp_path: Path) -> None:
    hold = f"echo begun; while [ ! -e {tmp_path}/go ]; do sleep 0.01; done; {WRITE}"

    async def stop(far: Orchestrator) -> None:
        far.send_job(hold)
        await wait_until_async(lambda: far.of(JobEvent), "it has begun")
        assert far.service
        far.service.stopping.set()
        await wait_until_async(lambda: far.of(Alive), "it says so")
        (tmp_path / "go").touch()

    assert asyncio.run(far.talk(stop)) is ServeEnd.STOPPED
    assert far.of(Alive) == [Alive(takes_jobs=False)]
    assert far.of(JobResult)[0].size == 6
    assert isinstance(far.heard[-1], Bye)


def test_agent_that_ends_when_its_worker_is_asked_to_stop_is_lost(far: Orchestrator, tmp_path: Path) -> None:
    """SLURM signals all processes of a job: that says nothing about the item, and is not kept as its result."""
    started = tmp_path / "started"

    async def stop_all(far: Orchestrator) -> None:
        far.send_job(f"echo $$ >{started}.new; mv {started}.new {started}; exec sleep 600")
        await wait_until_async(started.exists, far.heard)
        assert far.service
        far.service.stopping.set()
        os.kill(int(started.read_text()), signal.SIGTERM)
        await far.wait_for_result()

    assert asyncio.run(far.talk(stop_all)) is ServeEnd.STOPPED
    [result] = far.of(JobResult)
    assert isinstance(result.answer, SentFailure)
    assert result.answer.cause is Cause.LOST
    assert result.answer.reason == "it was asked to stop while the agent worked (ended by signal 15)"
    assert list_spooled(far.settings) == ()


@pytest.mark.parametrize(
    ("script", "table", "cause", "reason"),
    [
        ("echo $KEY; echo $KEY >out/a.md", {"pass_env": ("KEY",)}, Cause.LEAK, "the value of KEY"),
        ("exit 3", {}, Cause.FAILED, "exit code 3"),
        ("sleep 60", {}, Cause.TIMEOUT, "longer than"),
    ],
    ids=["key", "exit", "slow"],
)
def test_failure_is_sent(
    far: Orchestrator, script: str, table: dict[str, Any], cause: Cause, reason: str
) -> None:
    seconds = 1.0 if cause is Cause.TIMEOUT else DEADLINE
    talk(far, lambda far: far.send_job(script, seconds=seconds, **table), Orchestrator.wait_for_result)
    [result] = far.of(JobResult)
    assert isinstance(result.answer, SentFailure)
    assert result.answer.cause is cause
    assert reason in result.answer.reason
    assert far.of(JobChunk) == []
    assert KEY not in repr(far.heard)


def test_large_output_is_not_sent(far: Orchestrator) -> None:
    large = "head -c 1001 /dev/zero >out/a.md"
    talk(far, lambda far: far.send_job(large), Orchestrator.wait_for_result)
    [result] = far.of(JobResult)
    assert (result.size, far.of(JobChunk)) == (1001, [])


def test_link_is_not_sent(far: Orchestrator) -> None:
    link = "ln -s ../a.txt out/a.md"
    talk(far, lambda far: far.send_job(link), Orchestrator.wait_for_result)
    [result] = far.of(JobResult)
    assert (result.size, result.problem, far.of(JobChunk)) == (None, "it is a symbolic link", [])


def test_what_a_worker_cannot_do_is_an_answer(far: Orchestrator) -> None:
    """A damaged pack is not waited for."""

    def damage(far: Orchestrator) -> None:
        far.send(PackPart(b"PACK junk junk junk"), PackEnd())
        far.send_job(WRITE)

    talk(far, damage, Orchestrator.wait_for_result)
    [result] = far.of(JobResult)
    assert isinstance(result.answer, SentFailure)
    assert result.answer.cause is Cause.DISK


def test_junk_ends_the_connection(far: Orchestrator) -> None:
    async def send_junk(far: Orchestrator) -> None:
        assert far.writer
        far.writer.write(b"\0\0\0\4junkjunk")

    assert asyncio.run(far.talk(send_junk)) is ServeEnd.CUT


def test_worker_ends_when_nothing_can_be_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where its input stays open, as it does behind some ends of `kubectl exec`."""
    monkeypatch.setattr("gitbatch.batch.worker.orchestrator_service.ALIVE_EVERY", 0.01)

    async def open_nothing(welcome: Welcome, opened: ExitStack) -> JobTools:
        raise AssertionError(welcome, opened)

    async def serve() -> ServeEnd:
        loop = asyncio.get_running_loop()
        reading, writing = os.pipe()
        pipe = os.fdopen(writing, "wb", buffering=0)
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.streams.FlowControlMixin(loop), pipe
        )
        reader = asyncio.StreamReader()
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        identity = WorkerIdentity("here", 2, "none")
        service = OrchestratorService(reader, writer, open_nothing, identity, tmp_path)
        serving = asyncio.create_task(service.serve())
        await loop_turns(5)
        os.close(reading)
        async with asyncio.timeout(DEADLINE):
            return await serving

    assert asyncio.run(serve()) is ServeEnd.CUT


def test_key_of_the_worker_is_hidden_from_agents(far: Orchestrator, tmp_path: Path) -> None:
    """Also in a folder that agents can read."""
    (tmp_path / "tls").mkdir()
    key = tmp_path / "tls/key.pem"
    for path in (key, tmp_path / "tls/ca.pem"):
        path.write_text(f"this is {path.name}\n")
    far.settings = replace(far.settings, sandbox=SandboxKind.AUTO, hidden=(key,))
    far.pool = AgentPool(dict(far.settings.environment), SandboxKind.AUTO, far.pool.starter)
    script = f"cat {tmp_path}/tls/* >out/a.md 2>&1; echo 'A. Wrote it.'"
    send = partial(far.send_job, script, needs=(str(tmp_path / "tls"),))
    talk(far, lambda _: send(), lambda far: far.wait_for_result())
    [chunk] = far.of(JobChunk)
    assert b"this is ca.pem" in chunk.data
    assert b"this is key.pem" not in chunk.data
