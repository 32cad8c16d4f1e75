"""What agents used is known afterwards, and limits hold: over failed attempts, halts and kills."""

import asyncio
import json
import re
from contextlib import closing

import pytest
from batch.programs import killed_when, run, set_up, starts
from conftest import Workspace
from history import assert_tidy, audit, trailers
from sessions import session_settings
from waiting import loop_turns

from gitbatch.batch.caller import PauseAlways
from gitbatch.batch.events import Event, ItemProgress
from gitbatch.batch.history.effort import format_usage
from gitbatch.batch.history.item_message import parse_spent
from gitbatch.batch.history.trailers import parse_trailers
from gitbatch.batch.session import Session, open_session
from gitbatch.limits.budget import Budget
from gitbatch.limits.usage import Spent, Usage
from gitbatch.plan.model import ItemKey
from gitbatch.repo.opening import open_repository
from gitbatch.text import clean_text

REPORTS = "reports-usage = true"


def test_what_an_item_used_is_in_its_commit_the_checkpoint_and_status(workspace: Workspace) -> None:
    set_up(workspace, "paidfail paid", "paid", "ok")
    told = run(workspace)
    commits = {
        trailers(workspace, commit, "Item")[0]: commit
        for commit in workspace.git("log", "--format=%H", "--grep", "^Gitbatch-Item").splitlines()
    }
    first = commits["out/T1.md"]
    assert trailers(workspace, first, "Usage") == [
        "input=200 output=40 cache_read=600 cache_write=0 requests=4"
    ], "the failed attempt was paid for as well"
    assert trailers(workspace, first, "Cost") == ["0.800000"]
    assert trailers(workspace, first, "Tokens") == ["840"]
    assert trailers(workspace, first, "Model") == ["m-1"]
    assert trailers(workspace, commits["out/T3.md"], "Cost") == []
    body = " ".join(workspace.git("log", "-1", "--format=%B").split())
    used = (
        r" s, 840 tokens in 4 requests \(input 200, output 40, cache read 600\), cache hit rate 75%, \$0.8000"
    )
    assert re.search(rf"[0-9.]+{used}", body)
    assert "Together: 1,260 tokens in 6 requests (input 300, output 60, cache read 900), " in body
    assert "cache hit rate 75%, $1.2000 and 1 attempt of unknown cost." in body
    assert trailers(workspace, "HEAD", "Cost") == ["1.200000"]
    assert trailers(workspace, "HEAD", "Cost-Unknown") == ["1"]
    assert told.of("batch-finished")[0]["spent"] == {
        "usage": {
            "model": "m-1",
            "input": 300,
            "output": 60,
            "cache_read": 900,
            "cache_write": 0,
            "requests": 6,
            "cost": pytest.approx(1.2),
        },
        "known": 3,
        "unknown": 1,
    }
    status = json.loads(workspace.gitbatch("status", "--json", code=0).stdout)
    assert status["spent"]["usage"]["cost"] == pytest.approx(1.2)
    assert status["spent"]["unknown"] == 1
    assert [item["attempts"] for item in status["items"]] == [2, 1, 1]
    assert [item["spent"]["usage"]["cost"] for item in status["items"]] == [0.8, 0.4, None]
    said = workspace.gitbatch("status", code=0).stdout
    assert "used so far: 1,260 tokens in 6 requests" in " ".join(said.split())
    assert re.search(r"out/T1\.md  \(2 attempts, [0-9.]+ s, 840 tokens, \$0\.8000\)", said)
    assert [type(item["seconds"]) for item in status["items"]] == [float] * 3
    assert "$0.00" not in said


def test_where_nobody_says_what_it_used_nothing_is_made_up(workspace: Workspace) -> None:
    set_up(workspace, "3", batch="retries = 0")
    run(workspace, code=1)
    assert "$" not in workspace.git("log", "-1", "--format=%B")
    status = json.loads(workspace.gitbatch("status", "--json", code=0).stdout)
    assert status["spent"]["usage"]["cost"] is None
    assert status["spent"]["unknown"] == 1
    assert status["items"][0]["attempts"] == 1


def test_a_money_limit_pauses_the_batch_and_a_higher_one_goes_on(workspace: Workspace) -> None:
    set_up(workspace, *["paid"] * 4, agent=REPORTS, groups=2)
    told = run(workspace, "--max-cost", "1.3", jobs=1, code=3)
    (halted,) = told.of("batch-halted")
    assert (halted["cause"], halted["items_left"]) == ("budget-reached", 1)
    assert halted["reason"] == "$1.20 of $1.30 are spent; the rest is not enough for another item"
    assert "raise the limit: gitbatch run --max-cost USD" in told.stderr
    assert [starts(workspace, f"T{number}") for number in (1, 2, 3, 4)] == [1, 1, 1, 0]
    told = run(workspace, code=3)
    assert told.of("item-started") == [], "the limit stays until another is given"
    run(workspace, "--max-cost", "10")
    assert len(audit(workspace).items) == 4
    assert_tidy(workspace)


def test_failed_attempts_count_against_the_limit_after_a_kill_too(workspace: Workspace) -> None:
    set_up(workspace, "paidfail slow", "paid", agent=REPORTS)
    killed_when(workspace, "T1", 2, "--max-cost", "5", "--jobs", "1")
    told = run(workspace, "--max-cost", "0.5", jobs=1, code=3)
    assert told.of("item-started") == []
    reason = "$0.40 of $0.50 are spent, and the cost of 1 attempt is unknown"
    assert told.of("batch-halted")[0]["reason"] == reason, "the attempt that was killed counts as the mean"
    status = json.loads(workspace.gitbatch("status", "--json", code=0).stdout)
    assert status["spent"]["usage"]["cost"] == 0.4
    assert (status["spent"]["known"], status["spent"]["unknown"]) == (1, 1)
    assert status["items"][0]["attempts"] == 1


def test_a_start_says_the_limits_and_what_earlier_starts_used(workspace: Workspace) -> None:
    set_up(workspace, "paid", "paid", agent=REPORTS, groups=2)
    arguments = ("run", "--items", "all", "--checkpoint", "after-each")
    said = workspace.gitbatch(*arguments, "--max-cost", "5", "--max-tokens", "90000", code=3).stdout
    assert "  limit $5.00 and 90,000 tokens\n" in said
    assert "used so far" not in said
    assert "succeeded T1 (" in said
    assert " s, 420 tokens, $0.4000)\n" in said
    said = workspace.gitbatch("run", code=0).stdout
    assert "  limit $5.00 and 90,000 tokens\n  used so far: 420 tokens in 2 requests" in said
    assert "total     840 tokens in 4 requests" in said


def test_a_limit_of_tokens_and_one_in_the_configuration(workspace: Workspace) -> None:
    set_up(workspace, *["paid"] * 3, agent=REPORTS, batch="max-tokens = 800")
    told = run(workspace, jobs=1, code=3)
    assert told.of("batch-halted")[0]["reason"] == "840 of 800 tokens are used"
    assert "gitbatch run --max-tokens N" in told.stderr
    assert len(told.of("item-finished")) == 2
    run(workspace, "--max-tokens", "9000")


@pytest.mark.parametrize("option", [("--max-cost", "1"), ("--max-tokens", "1000")])
def test_a_limit_that_cannot_be_kept_is_refused(workspace: Workspace, option: tuple[str, str]) -> None:
    set_up(workspace, "paid", "ok")
    before = workspace.state()
    told = run(workspace, *option, code=2)
    assert f"agent told does not report its {'cost' if 'cost' in option[0] else 'usage'}" in told.stderr
    assert "reports-usage = true" in told.stderr
    assert workspace.state() == before


def test_an_agent_that_breaks_its_word_halts_a_limited_batch(workspace: Workspace) -> None:
    set_up(workspace, "ok", "paid", agent=REPORTS)
    told = run(workspace, "--max-cost", "9", jobs=1, code=3)
    reason = "agent told did not report what T1 cost, and no known cost gives an estimate"
    assert told.of("batch-halted")[0]["reason"] == reason
    assert [event["outcome"]["status"] for event in told.of("item-finished")] == ["succeeded"]


def test_an_unknown_cost_is_estimated_once_any_is_known(workspace: Workspace) -> None:
    set_up(workspace, "3 paid", "75 ok", "paid", agent=REPORTS)
    halted = run(workspace, "--max-cost", "9", jobs=1, code=3).of("batch-halted")[0]
    assert halted["reason"].startswith("agent told did not report what T1 cost"), "of a failed attempt too"
    said = workspace.gitbatch("run", "--jobs", "1", code=0).stdout
    assert "  limit held by estimate: 1 attempt of unknown cost, no known cost yet\n" in said
    assert "limit held by estimate: the cost of T2 is unknown and counts as the mean, $0.40\n" in said
    assert trailers(workspace, "HEAD", "Cost-Unknown") == ["2"], "the wait for a busy server has cost nothing"
    assert trailers(workspace, "HEAD", "Cost") == ["0.800000"]


def test_what_an_interrupted_attempt_had_reported_counts(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "paidslow", "mute", agent=REPORTS)
    said: list[str] = []

    async def scene(session: Session) -> None:
        task = asyncio.ensure_future(session.run(PauseAlways()))
        while len(said) < 2:
            await asyncio.wait([task], timeout=0.02)
        task.cancel()
        await asyncio.wait([task])

    def note_line(event: Event) -> None:
        if isinstance(event, ItemProgress):
            said.append(event.item)

    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    with (
        closing(open_repository(workspace.root)) as repo,
        open_session(repo, session_settings(workspace, jobs=2), (note_line,)) as session,
    ):
        asyncio.run(scene(session))
    status = json.loads(workspace.gitbatch("status", "--json", code=0).stdout)
    assert [item["spent"] and item["spent"]["usage"]["cost"] for item in status["items"]] == [0.4, None]
    assert (status["spent"]["known"], status["spent"]["unknown"]) == (1, 1)
    assert [item["attempts"] for item in status["items"]] == [0, 0], "an interruption is not a failure"


def a_request(cost: float | None) -> Usage:
    return Usage(clean_text("m"), input=100, requests=1, cost=cost)


def test_who_finds_nothing_left_waits_for_others_to_give_back() -> None:
    async def scene() -> list[bool]:
        budget = Budget(max_cost=1.0)
        assert await budget.wait_to_reserve(ItemKey("a"), 0.9)
        waiting = [asyncio.create_task(budget.wait_to_reserve(ItemKey(name), 0.5)) for name in ("b", "c")]
        await loop_turns(20)
        assert not any(task.done() for task in waiting)
        budget.close_attempt(ItemKey("a"), a_request(0.1))
        budget.release_reservation(ItemKey("a"))
        await loop_turns(20)
        assert [task.done() for task in waiting] == [True, False]
        budget.close_attempt(ItemKey("b"), a_request(0.5))
        budget.release_reservation(ItemKey("b"))
        return [await task for task in waiting]

    assert asyncio.run(scene()) == [True, False], "0.6 are spent, and 0.5 can never be enough"


def test_an_attempt_is_charged_once() -> None:
    budget = Budget()
    budget.charge_request(ItemKey("a"), a_request(0.25))
    budget.charge_request(ItemKey("a"), a_request(0.25))
    assert budget.close_attempt(ItemKey("a"), a_request(0.5)) == Usage(
        clean_text("m"), 200, requests=2, cost=0.5
    )
    assert budget.close_attempt(ItemKey("b"), a_request(1.0)).cost == 1.0
    assert budget.spent == Spent(Usage(clean_text("m"), 300, requests=3, cost=1.5), known=2)


def test_a_cost_that_is_not_known_counts_as_the_mean() -> None:
    budget = Budget(max_cost=1.0)
    budget.close_attempt(ItemKey("a"), a_request(0.4))
    budget.close_attempt(ItemKey("b"), a_request(None))
    assert budget.known_usage.cost == 0.4
    assert (budget.spent.known, budget.spent.unknown) == (1, 1)
    assert not budget.is_reached
    assert not budget.reserve_cost(ItemKey("c"), 0.3)
    budget.close_attempt(ItemKey("c"), Usage())
    assert budget.is_reached


@pytest.mark.parametrize(
    ("text", "attempts", "expected"),
    [
        ("", 2, Spent(unknown=2)),
        ("Gitbatch-Cost: 0.500000", 2, Spent(Usage(cost=0.5), 2)),
        ("Gitbatch-Cost: 0.500000\nGitbatch-Cost-Unknown: 1", 3, Spent(Usage(cost=0.5), 2, 1)),
        ("Gitbatch-Cost: 0.500000\nGitbatch-Cost-Unknown: 9", 3, Spent(Usage(cost=0.5), 1, 9)),
        ("Gitbatch-Cost: -1\nGitbatch-Cost-Unknown: x", 1, Spent(unknown=1)),
    ],
)
def test_what_trailers_say_was_spent(text: str, attempts: int, expected: Spent) -> None:
    assert parse_spent(parse_trailers(f"x\n\n{text}\n"), attempts) == expected


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    assert format_usage(Spent()) == "unknown usage"
    assert (
        format_usage(Spent.of_attempt(a_request(None))) == "100 tokens in 1 request (input 100), cost unknown"
    )
