"""A failed attempt is followed by another that knows why it failed; a busy server makes all wait (rule F3)."""

import asyncio
import re
import signal
from io import StringIO
from math import inf
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest
from batch.programs import killed_when, prompt, run, set_up, starts
from conftest import Workspace
from history import assert_tidy, audit, trailers
from rich.console import Console
from sessions import run_here
from waiting import loop_turns

from gitbatch.batch.ending import Ending
from gitbatch.batch.events import BatchWaiting, Notice
from gitbatch.batch.item import retries as retry
from gitbatch.batch.item.stop import StopSwitch, cannot_work, come_back_later
from gitbatch.batch.model import BatchItem, FailedAttempt, ItemStatus
from gitbatch.errors import ExitCode
from gitbatch.limits import rate_limit as gate
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import TREATMENTS, Cause, Remedy, WaitReason
from gitbatch.limits.rate_limit import RateLimit
from gitbatch.text import clean_text
from gitbatch.view.block import plain_text
from gitbatch.view.live import LiveView
from gitbatch.view.terminal import Terminal

if TYPE_CHECKING:
    from gitbatch.batch.item.run import Run
    from gitbatch.batch.item.scheduled import ScheduledItem

FAILURES = Path(__file__).parents[3] / "docs" / "failures.md"


@pytest.mark.rule("F3")
@pytest.mark.parametrize(
    ("word", "reason", "cause"),
    [
        ("3", "it broke (exit 3)", Cause.FAILED),
        ("slow", "it took longer than 3 seconds and printed nothing", Cause.TIMEOUT),
        ("shared", "the agent modified task.md outside its assigned output", Cause.REFUSED),
        ("nothing", "no output file was written", Cause.NO_OUTPUT),
    ],
)
def test_the_next_attempt_knows_why_the_last_one_failed(
    workspace: Workspace, word: str, reason: str, cause: Cause
) -> None:
    set_up(workspace, f"{word} ok")
    if word == "slow":
        workspace.edit("gitbatch.toml", "60s", "3s")  # in which the second attempt ends
        workspace.commit()
    told = run(workspace)
    (failed,) = told.of("attempt-failed")
    assert (failed["outcome"]["reason"], failed["outcome"]["cause"]) == (reason, cause)
    assert (failed["left"], failed["counts"]) == (2, True)
    assert "The last attempt failed" not in prompt(workspace, "T1", 1)
    assert f"The last attempt failed: {reason}\n" in prompt(workspace, "T1", 2)
    assert f"{TREATMENTS[cause].lesson}\n" in prompt(workspace, "T1", 2)
    item = workspace.git("log", "--format=%H", "--grep", "^Gitbatch-Item")
    assert trailers(workspace, item, "Attempt") == ["2"]
    assert trailers(workspace, item, "Earlier") == [f"1: {reason}"]
    assert f"2 attempts; failed before: 1: {reason}" in " ".join(
        workspace.git("log", "-1", "--format=%B").split()
    )
    assert told.outcome("T1")["attempts"] == 2
    audit(workspace)
    assert_tidy(workspace)


def test_an_item_has_two_retries_unless_somebody_says_otherwise(workspace: Workspace) -> None:
    set_up(workspace, "3 4 5", "3 4 5 <!-- retries: 0 -->")
    told = run(workspace, code=1)
    assert (starts(workspace, "T1"), starts(workspace, "T2")) == (3, 1)
    assert told.outcome("T1")["reason"] == "it broke (exit 5)"
    assert [tried["reason"] for tried in told.outcome("T1")["earlier"]] == [
        "it broke (exit 3)",
        "it broke (exit 4)",
    ]
    body = workspace.git("log", "-1", "--format=%B")
    assert "3 attempts; failed before: 1: it broke (exit 3); 2: it broke (exit 4)" in " ".join(body.split())
    assert "T1 failed, in its own words:\n    it broke" in body
    assert "> it broke" in prompt(workspace, "T1", 3)


@pytest.mark.rule("F3")
def test_a_busy_server_is_waited_for_and_that_is_no_attempt(workspace: Workspace) -> None:
    set_up(workspace, "75 75 ok", batch="retries = 0")
    told = run(workspace)
    assert told.of("attempt-failed") == []
    assert [event["name"] for event in told.of("item-waiting")] == ["T1", "T1"]
    assert [event["seconds"] for event in told.of("batch-waiting")] == [0.1, 2.0], (
        "what the server says, but no busy loop"
    )
    outcome = told.outcome("T1")
    assert (outcome["attempts"], outcome["waits"]) == (1, 2)
    assert outcome["waited"] > 1  # a wait begins when the server says so, which a busy machine notes later
    said = f"server busy 2 times, waited {outcome['waited']:.1f} s"
    assert said in workspace.git("log", "-1", "--format=%B")
    assert workspace.git("for-each-ref", "refs/gitbatch/*/ledger/*") == "", "nothing failed"


@pytest.fixture
def quick_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the first wait of a rate limit take no time."""
    monkeypatch.setattr(gate, "_FIRST", 0.001)


@pytest.mark.rule("F3")
@pytest.mark.usefixtures("quick_waits")
def test_a_program_that_says_rate_limit_is_waited_for(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "limited limited ok", batch="retries = 0")
    result, events = run_here(workspace, monkeypatch)
    assert (result.ending, result.failed) == (Ending.COMPLETE, 0)
    reasons = [event["reason"] for event in events if event["event"] == "item-waiting"]
    assert len(reasons) == 2
    assert all("Error: rate limit reached (exit 1)" in reason for reason in reasons)
    (outcome,) = [event["outcome"] for event in events if event["event"] == "item-finished"]
    assert outcome["attempts"] == 1


@pytest.mark.usefixtures("quick_waits")
def test_a_program_that_always_says_rate_limit_is_not_believed_for_ever(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, " ".join(["limited"] * 20), batch="retries = 1")
    monkeypatch.setattr(retry, "_GUESSES", 3)
    result, _ = run_here(workspace, monkeypatch)
    assert (result.ending, result.failed) == (Ending.COMPLETE, 1)
    assert starts(workspace, "T1") == 3 + 2


def test_what_looks_busy_is_configured(workspace: Workspace) -> None:
    set_up(workspace, "limited ok", agent="busy-patterns = false")
    told = run(workspace)
    assert told.of("item-waiting") == []
    assert told.outcome("T1")["attempts"] == 2


@pytest.mark.rule("E3")
def test_why_a_program_failed_stands_wherever_a_failure_is_shown(workspace: Workspace) -> None:
    set_up(workspace, "key key", batch="retries = 1")
    workspace.write("status.md", "# Status\n")
    workspace.commit("Status")
    why = "KeyError: 'm03' (exit 3)"
    shown = workspace.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=1).stdout
    assert f"  again     T1: attempt 1: {why}; 1 left\n" in shown
    assert re.search(rf"  failed    T1 \(.*\): {re.escape(why)}\n", shown)
    assert "T1 said:\n    reading\n    KeyError: 'm03'\n" in shown
    message = workspace.git("log", "-1", "--format=%B")
    assert f"failed     T1 → out/T1.md\n           {why}\n" in message
    assert f"failed before: 1: {why}\n" in message
    assert "in its own words:\n    reading\n    KeyError: 'm03'\n" in message
    assert trailers(workspace, "HEAD", "Failed") == [f"out/T1.md: failed: {why}"]
    assert f"| T1 | out/T1.md | failed | {why} |" in workspace.read("status.md")
    assert why in workspace.gitbatch("status", code=0).stdout
    assert f'"reason":"{why}"' in workspace.gitbatch("status", "--json", code=0).stdout
    assert f"The last attempt failed: {why}\n" in prompt(workspace, "T1", 2)
    assert "> reading\n> KeyError: 'm03'\n" in prompt(workspace, "T1", 2)


def test_what_a_program_says_that_wrote_nothing_and_succeeded_is_told(workspace: Workspace) -> None:
    set_up(workspace, "refused ok")
    (failed,) = run(workspace).of("attempt-failed")
    assert failed["outcome"]["reason"] == "no output file was written"
    assert failed["outcome"]["details"] == ["I may not write there. Please allow it."]
    assert "> I may not write there. Please allow it.\n" in prompt(workspace, "T1", 2)


@pytest.mark.rule("F3")
def test_one_of_twenty_that_meets_a_busy_server_makes_all_new_starts_wait(workspace: Workspace) -> None:
    set_up(workspace, "crowd ok", *["follow"] * 19, *["ok"] * 4, batch="retries = 0")
    told = run(workspace, jobs=20)
    (closed,) = told.of("batch-waiting")
    assert closed["seconds"] == 1
    before = [e for e in told.of("item-started") if e["at"] < closed["at"]]
    after = [e for e in told.of("item-started") if e["at"] >= closed["at"]]
    assert len(before) == 20
    assert sorted(event["name"] for event in after) == ["T1", "T21", "T22", "T23", "T24"]
    assert min(event["at"] for event in after) >= closed["at"] + 1
    assert {e["outcome"]["status"] for e in told.of("item-finished")} == {"succeeded"}
    assert {e["outcome"]["attempts"] for e in told.of("item-finished")} == {1}


def test_attempts_are_known_after_a_kill(workspace: Workspace) -> None:
    set_up(workspace, "3 slow 4 ok")
    killed_when(workspace, "T1", 2)
    told = run(workspace)
    assert starts(workspace, "T1") == 4
    assert [event["left"] for event in told.of("attempt-failed")] == [1], "one of the two was used before"
    assert "The last attempt failed: it broke (exit 3)\n" in prompt(workspace, "T1", 3)
    assert told.outcome("T1")["attempts"] == 3
    body = workspace.git("log", "-1", "--format=%B")
    assert "3 attempts; failed before: 1: it broke (exit 3); 2: it broke (exit 4)" in " ".join(body.split())


def test_what_failed_for_good_is_not_paid_for_again_after_a_kill(workspace: Workspace) -> None:
    set_up(workspace, "3", "hold", batch="retries = 0")
    killed_when(workspace, "T2", 1)
    assert starts(workspace, "T1") == 1
    (workspace.home / "go").touch()
    told = run(workspace, code=1)
    assert starts(workspace, "T1") == 1
    assert told.outcome("T1")["reason"] == "it broke (exit 3)"
    assert "T1 failed, in its own words:\n    it broke" in workspace.git("log", "-1", "--format=%B")


def test_what_failed_for_good_has_a_new_chance_when_the_user_has_changed_something(
    workspace: Workspace,
) -> None:
    set_up(workspace, "3 ok", "hold", batch="retries = 0")
    killed_when(workspace, "T2", 1)
    (workspace.home / "go").touch()
    workspace.write("mended.txt", "yes\n")
    workspace.commit("Mend it")
    told = run(workspace)
    assert starts(workspace, "T1") == 2
    assert told.outcome("T1")["attempts"] == 2


@pytest.mark.rule("F3")
def test_come_back_later_halts_the_batch_at_a_clean_point(workspace: Workspace) -> None:
    set_up(workspace, "later ok", "follow", "ok", batch="retries = 0")
    (workspace.home / "busy").touch()
    told = run(workspace, jobs=2, code=75)
    assert starts(workspace, "T3") == 0, "no new item starts"
    (halted,) = told.of("batch-halted")
    assert (halted["cause"], halted["items_left"]) == ("come-back-later", 2)
    assert 4000 < halted["back_at"] - halted["at"] <= 5001
    assert "retry at " in told.stderr
    assert "(in 1 h 23 min)" in told.stderr
    assert [e["outcome"]["item"]["name"] for e in told.of("item-finished")] == ["T2"], "it ran to its end"
    said = workspace.gitbatch("status", code=0).stdout
    assert said.count("done, not merged yet") == 1
    assert said.count("open") >= 2
    told = run(workspace)
    assert (starts(workspace, "T1"), starts(workspace, "T2")) == (2, 1)
    assert told.outcome("T1")["attempts"] == 1
    assert len(audit(workspace).items) == 3
    assert_tidy(workspace)


@pytest.mark.parametrize(("longest", "ending"), [(0.1, Ending.HALTED), (inf, Ending.COMPLETE)])
def test_wait_waits_for_what_would_halt(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, longest: float, ending: Ending
) -> None:
    set_up(workspace, "soon ok")
    result, _ = run_here(workspace, monkeypatch, longest_wait=longest)
    assert result.ending is ending
    assert starts(workspace, "T1") == 1 + (longest == inf)


@pytest.mark.rule("F3")
def test_an_agent_that_cannot_work_at_all_stops_the_batch_and_nothing_is_lost(workspace: Workspace) -> None:
    set_up(workspace, "ok", "ok <!-- agent: absent -->", "ok", batch='agent = "told"')
    toml = workspace.read("gitbatch.toml")
    absent = '[agents.absent]\nkind = "command"\ncommand = ["./no-program"]\nsandbox = "none"\n'
    workspace.write("gitbatch.toml", toml + absent)
    workspace.write("no-program", "it cannot be executed\n")
    workspace.commit("An agent")
    told = run(workspace, jobs=1, code=1)
    (halted,) = told.of("batch-halted")
    assert halted["cause"] == "agent-unusable"
    assert "no-program: Permission denied" in halted["reason"]
    assert [event["counts"] for event in told.of("attempt-failed")] == [False]
    assert "commit a changed gitbatch.toml and add --accept-config" in told.stderr
    assert (starts(workspace, "T1"), starts(workspace, "T3")) == (1, 0)
    workspace.edit("gitbatch.toml", '"./no-program"', '"sh", "agent.sh"')
    workspace.commit("Fix it")
    run(workspace, code=3)
    told = run(workspace, "--accept-config")
    assert told.outcome("T2")["attempts"] == 1
    assert (starts(workspace, "T1"), starts(workspace, "T2"), starts(workspace, "T3")) == (1, 1, 1)
    assert len(audit(workspace).items) == 3


def test_the_views_tell_of_attempts_waits_and_halts(workspace: Workspace) -> None:
    set_up(workspace, "3 75 ok", "later")
    said = workspace.gitbatch("run", "--items", "T1", "--checkpoint", "at-end", code=0).stdout
    assert "  again     T1: attempt 1: it broke (exit 3); 2 left\n" in said
    assert "  busy      T1: exit code 75; it starts again\n" in said
    assert "waiting   0 s: the server is busy\n" in said
    assert " s, 2 attempts)\n" in said
    done = workspace.gitbatch("run", "--items", "T2", "--checkpoint", "at-end", code=75)
    assert "halted  exit code 75: retry at " in done.stdout
    assert "1 item left; finished items are in git. resume then: gitbatch run" in done.stdout


def test_the_readme_has_the_table_of_causes() -> None:
    rows = [line.split("|")[1:-1] for line in FAILURES.read_text(encoding="utf-8").splitlines()]
    found = {row[0].strip(): [cell.strip() for cell in row[1:]] for row in rows if len(row) == 4}
    for cause, treatment in TREATMENTS.items():
        assert found[f"`{cause}`"][1:] == [f"`{treatment.remedy}`", treatment.lesson]


def test_every_cause_has_a_treatment_and_only_again_has_a_lesson() -> None:
    assert TREATMENTS.keys() == set(Cause)
    assert all(bool(t.lesson) == (t.remedy is Remedy.AGAIN) for t in TREATMENTS.values())


def test_who_waits_can_be_interrupted(workspace: Workspace) -> None:
    set_up(workspace, "minute")
    process = workspace.start("run", "--items", "all", "--checkpoint", "at-end")
    assert process.stdout
    assert any(line.startswith("  busy      T1") for line in process.stdout)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=50)  # the wait is a minute long
    assert process.returncode == ExitCode.INTERRUPTED
    assert workspace.git("worktree", "list", "--porcelain").count("worktree ") == 1


def test_the_live_view_says_how_long_everybody_waits() -> None:
    now = [100.0]
    view = LiveView(Terminal(Console(file=StringIO(), force_terminal=True, width=100)), lambda: now[0])

    def overall() -> str:
        return plain_text(view.render_lines()[0].parts)

    view(BatchWaiting(batch="b", seconds=12, at=100.0))
    now[0] += 2
    assert "waiting 10 s: the server is busy" in overall()
    view(BatchWaiting(batch="b", seconds=12, reason=WaitReason.NO_CONNECTION, at=102.0))
    assert "waiting 12 s: no connection" in overall()
    now[0] += 20
    assert "waiting" not in overall()


def test_a_tripped_switch_ends_a_wait() -> None:
    async def scene() -> float:
        switch, gate = StopSwitch(), RateLimit()
        gate.start_wait(60)
        waiting = asyncio.create_task(switch.wait_unless_stopped(gate.wait()))
        await loop_turns(20)
        switch.trip(cannot_work("T1", clean_text("no key")))
        switch.trip(cannot_work("T2", clean_text("too late")))
        assert switch.halt
        assert switch.halt.reason == "T1: no key"
        return await waiting

    assert asyncio.run(asyncio.wait_for(scene(), 30)) < 30


def test_the_ledger_of_a_finished_batch_goes_with_it(workspace: Workspace) -> None:
    set_up(workspace, "3 ok")
    run(workspace)
    assert workspace.git("for-each-ref", "refs/gitbatch/*/ledger/*") != ""
    workspace.gitbatch("gc", "--keep", "0", code=0)
    assert workspace.git("for-each-ref", "refs/gitbatch/") == ""


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(45, "(in 45 s)"), (7_500, "(in 2 h 05 min)"), (8e5, "(in 9 days)"), (1e15, "in more than a year")],
)
def test_when_to_come_back_is_said_in_words_that_make_sense(seconds: float, said: str) -> None:
    halt = come_back_later(clean_text("busy"), 1_000.0, seconds)
    assert halt.reason.endswith(said)


def test_an_item_that_failed_for_no_known_reason_waits_a_little_and_each_time_longer(
    workspace: Workspace,
) -> None:
    set_up(workspace, "3 4 ok", batch="retry-pause = '0.2s'")
    told = run(workspace)
    failed = [event["at"] for event in told.of("attempt-failed")]
    _, *again = [event["at"] for event in told.of("item-started")]
    assert again[0] - failed[0] >= 0.2
    assert again[1] - failed[1] >= 0.4


def test_an_item_that_failed_for_a_known_reason_does_not_wait(workspace: Workspace) -> None:
    set_up(workspace, "nothing shared ok", batch="retry-pause = '1h'")
    run(workspace)
    assert starts(workspace, "T1") == 3


def test_who_waits_to_try_again_does_not_hold_up_a_batch_that_halts(workspace: Workspace) -> None:
    set_up(workspace, "3 ok", "later", batch="retry-pause = '1h'")
    run(workspace, code=75)
    assert starts(workspace, "T1") == 1


@pytest.mark.rule("F2")
def test_an_early_item_that_costs_more_than_the_open_group_leaves_halts_nothing() -> None:
    """It is to run with its group, which is said once"""
    said: list[Notice] = []
    switch, item = StopSwitch(), BatchItem("out/b.md", "B1", "Write", "2-b1", 2)
    budget = Budget(max_cost=1.0)
    run = cast(
        "Run",
        SimpleNamespace(
            agents=SimpleNamespace(budget=budget),
            emit=said.append,
            batch=SimpleNamespace(id="b"),
            stop_switch=switch,
        ),
    )
    tried = FailedAttempt(item.key, "c", 1, ItemStatus.FAILED, Cause.BUDGET, clean_text("too dear"))
    early = cast("ScheduledItem", SimpleNamespace(is_early=True, batch_item=item))
    assert not retry._may_continue(run, early, tried)
    assert not retry._may_continue(run, early, tried)
    assert switch.halt is None
    assert [event.text.partition(",")[0] for event in said] == ["B1 starts with its group"]
