"""What a worker does at its limits: a full disk, a pack that was cut, many paths, a full spool, a signal."""

# ruff: noqa: F811 - a parameter has the name of its fixture

import asyncio
from pathlib import Path

import msgspec
import pytest
from agents.test_protocol import ASSIGNMENT
from batch.executor.test_executor_messages import SETUP
from batch.worker.orchestrators import KEY, OTHER, TOKEN, Orchestrator, far, talk  # noqa: F401 - a fixture
from msgspec.structs import replace
from waiting import DEADLINE, wait_until_async

from gitbatch.agents.claude_code.table import ClaudeCodeAgent
from gitbatch.agents.command.table import CommandAgent
from gitbatch.agents.process.spending import AttemptLimits
from gitbatch.agents.protocol import Reply
from gitbatch.agents.secrets import Secrets
from gitbatch.batch.executor.messages import (
    MOST_PATHS,
    PATH_CHARACTERS,
    Alive,
    CancelJob,
    ItemJob,
    JobChanges,
    JobEvent,
    JobRefused,
    JobResult,
    JobUsage,
    PackPart,
    SentFailure,
    SentReply,
    SentUsage,
)
from gitbatch.batch.worker.item_job import list_messages
from gitbatch.batch.worker.orchestrator_service import ServeEnd
from gitbatch.batch.worker.spool import Spool
from gitbatch.batch.worker.stdio import WorkerSettings, list_spooled
from gitbatch.batch.workplace.protocol import Collected, WorkplaceChanges
from gitbatch.fs.durable import _temporary_name
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.plan.model import ItemKey
from gitbatch.text import clean_text

WRITE = "cat >/dev/null; echo hello >out/a.md; echo 'A. Wrote it.'"


def test_result_that_the_spool_cannot_keep_is_sent(far: Orchestrator) -> None:
    """It is paid for."""
    (far.settings.folder / "spool" / ("0" * 16) / _temporary_name(TOKEN)).mkdir(parents=True)
    talk(far, lambda far: far.send_job(WRITE, left=2.0, reports_usage=True), Orchestrator.wait_for_result)
    [result] = far.of(JobResult)
    assert isinstance(result.answer, SentReply)
    assert result.size == 6
    assert list_spooled(far.settings) == ()
    assert far.pool.budget.cost_left_for(ItemKey("a")) == 2.0


def test_what_a_machine_lacks_is_said_before_anything_begins(far: Orchestrator) -> None:
    """A kind, a program, a key, what counts the cost: none of it is a failure, and nothing is kept of it."""
    asked = {
        "ef": b'{"kind": "later"}',
        "11": msgspec.json.encode(CommandAgent(command=("/no/such",))),
        "22": msgspec.json.encode(ClaudeCodeAgent(program="sh")),
        "33": msgspec.json.encode(CommandAgent(command=("sh",))),
    }

    def send_all(far: Orchestrator) -> None:
        far.send_job(WRITE)
        for number, table in asked.items():
            left = 1.0 if number == "33" else None
            job = replace(far.last, token=number * 16, slug=number, agent=number, table=table, cost_left=left)
            far.send(job)

    talk(far, send_all, lambda far: far.wait_for(JobRefused, len(asked)), Orchestrator.wait_for_result)
    said = {each.token[:2]: each.reason for each in far.of(JobRefused)}
    assert "does not have the kind" in said["ef"]
    assert "the program /no/such is not found" in said["11"]
    assert "needs a key, and none of ANTHROPIC_API_KEY" in said["22"]
    assert "does not report its cost" in said["33"]
    assert list_spooled(far.settings) == (TOKEN,)


def test_worker_that_cannot_make_its_copy_says_so(far: Orchestrator) -> None:
    """Its disk is full from the start: that is no failure of the item."""
    (far.settings.folder / "spool").touch()
    far.names_spooled = False
    talk(far, lambda far: far.send_job(WRITE), Orchestrator.wait_for_result)
    [result] = far.of(JobResult)
    assert isinstance(result.answer, SentFailure)
    assert (result.answer.cause, result.answer.usage.cost) == (Cause.DISK, 0.0)


def test_pack_that_was_cut_does_not_spoil_the_next_one(far: Orchestrator) -> None:
    """The item that it was for has been stopped."""

    def stop_midway(far: Orchestrator) -> None:
        far.send(PackPart(b"PACK the first part", is_first=True))
        far.send_job(WRITE)

    talk(far, stop_midway, Orchestrator.wait_for_result)
    assert isinstance(far.of(JobResult)[0].answer, SentReply)


def test_key_in_the_name_of_a_file_is_not_sent(far: Orchestrator) -> None:
    script = f'{WRITE}; echo x >"$KEY.txt"'
    talk(far, lambda far: far.send_job(script, pass_env=("KEY",)), Orchestrator.wait_for_result)
    written = [path for each in far.of(JobChanges) for path in each.written]
    assert sorted(written) == ["[value of KEY].txt", "out/a.md"]
    assert KEY not in repr(far.heard)


@pytest.mark.parametrize("name", ["b", "b" * 4000], ids=["short", "long"])
def test_no_more_paths_are_sent_than_are_accepted(name: str) -> None:
    job = ItemJob(TOKEN, "b", "1-a", "writer", b"{}", ASSIGNMENT, SETUP, 10)
    written = (*(f"{name}{number}" for number in range(MOST_PATHS)), "task.md")

    def open_nothing() -> None:
        raise FileNotFoundError

    collected = Collected(WorkplaceChanges(written, ("a",)), open_nothing)  # type: ignore[arg-type]
    messages = [*list_messages(job, Reply(clean_text("Done.")), collected, Secrets())]
    sent = [path for each in messages if isinstance(each, JobChanges) for path in each.removed + each.written]
    assert sent[:2] == ["a", "task.md"], "what the item fails by comes first"
    assert len(sent) <= MOST_PATHS
    assert sum(map(len, sent)) <= PATH_CHARACTERS


def test_greeting_names_no_more_results_than_are_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitbatch.batch.worker.stdio.MOST_SPOOLED", 4)
    for name in ("1", "2"):
        spool = Spool(tmp_path / "spool" / (name * 16))
        spool.list_tokens()
        for number in "abc":
            spool.path_of((name + number) * 16).touch()
    assert len(list_spooled(WorkerSettings(folder=tmp_path, environment={}))) == 4


def test_item_is_cancelled_at_a_worker_that_was_asked_to_stop(far: Orchestrator) -> None:
    async def stop(far: Orchestrator) -> None:
        far.send_job("echo begun; exec sleep 600")
        await wait_until_async(lambda: far.of(JobEvent), "it has begun")
        assert far.service
        far.service.stopping.set()
        await wait_until_async(lambda: far.of(Alive), "it says so")
        far.send(CancelJob(TOKEN))

    async def serve() -> ServeEnd:
        async with asyncio.timeout(DEADLINE):
            return await far.talk(stop)

    assert asyncio.run(serve()) is ServeEnd.STOPPED
    assert far.of(JobResult) == []


@pytest.mark.parametrize("counts", [True, False], ids=["counted", "older-run"])
def test_usage_is_reported_while_an_agent_works(far: Orchestrator, counts: bool) -> None:  # noqa: FBT001 - a parameter
    """To a run that counts it; the program goes on when the test has heard it, and the model is named by the result."""

    async def work(far: Orchestrator) -> None:
        go_on = far.settings.folder / "go-on"
        far.send_job("true", token=OTHER)
        await far.wait_for_result()
        script = f"echo begun; while ! [ -e {go_on} ]; do sleep 0.02; done; {WRITE}"
        table = msgspec.json.encode(CommandAgent(command=("sh", "-c", script), reports_usage=True))
        far.send(replace(far.last, token=TOKEN, slug="1", table=table, cost_left=0.5, counts_usage=counts))
        await wait_until_async(lambda: far.of(JobEvent), "it has begun")
        limits = AttemptLimits(far.pool.budget, ItemKey("a"), find_cost=lambda *_: 0.2)
        for answers in (1, 1, 2):
            limits.charge_usages((Usage(clean_text("m"), input=10),) * answers)
        go_on.touch()
        await far.wait_for_result(2)

    talk(far, work)
    reported = [JobUsage(TOKEN, SentUsage(input=10 * n, cost=0.2 * n)) for n in (1, 2)]
    assert far.of(JobUsage) == (reported if counts else [])
    assert far.pool.budget.cost_left_for(ItemKey("a")) == pytest.approx(0.1)
    assert not far.pool.budget.is_exhausted_for(ItemKey("a"))
