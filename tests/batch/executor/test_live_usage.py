"""What agents at workers use is counted while they work, and stops them at the limits of the batch."""

import asyncio
from io import BytesIO

import pytest
from batch.executor.scripted_workers import (
    HELLO,
    REPLY,
    ScriptedChannel,
    ScriptedLink,
    give_output,
    name_executor,
    run_with,
)
from batch.executor.test_incoming_job import receive
from batch.executor.test_remote_runs import of_kind
from batch.programs import set_up
from conftest import Workspace
from msgspec.structs import replace

from gitbatch.batch.executor.carrier import ChannelError
from gitbatch.batch.executor.live_usage import MOST_REPORTS, LiveUsage
from gitbatch.batch.executor.messages import CancelJob, ItemJob, JobChunk, JobResult, JobUsage, SentUsage
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Usage
from gitbatch.plan.model import ItemKey
from gitbatch.text import clean_text

A, B = ItemKey("a"), ItemKey("b")


@pytest.mark.parametrize("limit", ["max-cost = 5", "max-tokens = 50"])
def test_agents_of_all_workers_share_what_the_batch_has_left(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """Each of twelve would use ten times what it reports at a time; at the limit each ends with its next report."""
    set_up(workspace, *["ok"] * 12, batch=limit, agent="reports-usage = true")
    name_executor(workspace)
    all_work = asyncio.Barrier(12)

    async def use_much(channel: ScriptedChannel, job: ItemJob) -> None:
        assert job.counts_usage
        await all_work.wait()
        for times in range(1, 11):
            channel.tell(JobUsage(job.token, SentUsage(input=10 * times, cost=1.0 * times)))
            await asyncio.sleep(0)
        paid = replace(REPLY, usage=SentUsage(input=100, cost=10.0))
        channel.tell(JobChunk(job.token, b"x"), JobResult(job.token, paid, 1))

    links = [ScriptedLink(use_much, (replace(HELLO, host=host, slots=6),)) for host in ("one", "two")]
    result, events = run_with(workspace, monkeypatch, *links, jobs=12)
    assert result.halt is not None
    assert result.halt.cause is Cause.BUDGET
    assert "--max-" in result.halt.advice
    assert result.succeeded == 0
    charged = [event["usage"] for event in of_kind(events, "item-charged")]
    assert 5 <= sum(usage["cost"] for usage in charged) <= 5 + 11
    cancelled = [
        said.token
        for link in links
        for channel in link.channels
        for said in channel.said
        if isinstance(said, CancelJob)
    ]
    assert len({*cancelled}) == 12


def test_result_charges_only_what_was_not_reported(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok", batch="max-cost = 5", agent="reports-usage = true")
    name_executor(workspace)
    paid = replace(REPLY, usage=SentUsage("m", 30, 5, requests=3, cost=0.75))

    async def report_twice(channel: ScriptedChannel, job: ItemJob) -> None:
        channel.tell(*(JobUsage(job.token, SentUsage(input=10 * n, cost=0.25 * n)) for n in (1, 2)))
        *messages, _ = give_output(job, b"page\n")
        channel.tell(*messages, JobResult(job.token, paid, 5))

    _, events = run_with(workspace, monkeypatch, ScriptedLink(report_twice))
    assert [event["usage"]["cost"] for event in of_kind(events, "item-charged")] == [0.25, 0.25, 0.25]
    [done] = of_kind(events, "item-finished")
    assert done["outcome"]["spent"]["usage"] == {
        "model": "m",
        "input": 30,
        "output": 5,
        "cache_read": 0,
        "cache_write": 0,
        "requests": 3,
        "cost": 0.75,
    }


def test_reports_are_charged_by_what_they_add() -> None:
    budget = Budget(max_cost=1.0)
    mine, other = LiveUsage(budget, A), LiveUsage(budget, B)
    assert mine.take_report(Usage(input=10, requests=7, cost=0.25))
    assert mine.take_report(Usage(input=10, requests=8, cost=0.25))
    assert other.take_report(Usage(input=1, cost=0.5))
    assert (budget.charged_usage(A).requests, budget.charged_cost(A)) == (0, 0.25)
    assert not mine.take_report(Usage(input=20, cost=0.5)), "both together have reached the limit"
    assert not other.take_report(Usage(input=1, cost=0.5))
    assert budget.close_attempt(A, Usage(clean_text("m"), 20, 3, requests=9, cost=0.75)).cost == 0.75
    assert (budget.spent.usage.cost, budget.spent.usage.input) == (1.25, 21)


@pytest.mark.parametrize(
    "less", [Usage(input=9, cost=0.5), Usage(input=10), Usage(input=10, cost=0.4), Usage(cost=0.5)]
)
def test_usage_that_shrinks_is_refused(less: Usage) -> None:
    live = LiveUsage(Budget(), A)
    live.take_report(Usage(input=10, cost=0.5))
    with pytest.raises(ChannelError, match="less than before"):
        live.take_report(less)


def test_flood_of_reports_is_not_counted_one_by_one() -> None:
    """Still the agent ends at the limit: what adds a hundredth is counted."""
    charged: list[Usage] = []
    budget = Budget(max_cost=2.0, listener=lambda _, usage: charged.append(usage))
    live = LiveUsage(budget, A)
    for number in range(MOST_REPORTS + 10):
        assert live.take_report(Usage(input=number + 1, cost=0.0))
    assert len(charged) == MOST_REPORTS
    assert live.take_report(Usage(input=MOST_REPORTS + 200, cost=0.0))
    assert live.take_report(Usage(input=MOST_REPORTS + 200, cost=1.0))
    assert live.take_report(Usage(input=MOST_REPORTS + 200, cost=1.001))
    assert not live.take_report(Usage(input=MOST_REPORTS + 200, cost=2.0))
    assert (len(charged), budget.charged_cost(A)) == (MOST_REPORTS + 3, 2.0)


def test_check_uses_nothing() -> None:
    with pytest.raises(ChannelError, match="what has no agent"):
        receive(BytesIO(), JobUsage("ab" * 16, SentUsage(cost=1.0)))
