"""Agents that review, in whole runs: what is sent back, what is never passed, what halts, and what it costs."""

import json
import signal

import pytest
from batch.programs import prompt, starts
from batch.reviewers import outcomes_of, review_prompt, reviews, set_up
from conftest import Workspace
from history import assert_tidy, audit, ticked, trailers
from processes import kill_agents
from sessions import run_here
from waiting import wait_until

from gitbatch.batch.ending import Ending
from gitbatch.batch.history.ledger import SpendingLimits
from gitbatch.limits.causes import Cause


def test_a_reviewer_sends_an_output_back_twice_then_accepts(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(
        workspace,
        "do: ok more more; judge: revise revise accept (DoD: 1)",
        "do: ok more more; judge: revise",
        "do: ok more more; judge: revise revise elsewhere accept",
        agent="reports-usage = true",
    )
    result, events = run_here(workspace, monkeypatch)
    outcomes = outcomes_of(events)
    assert (result.succeeded, result.failed) == (2, 1)
    assert workspace.read("out/T1.md") == "T1 1\nmore\nmore\n"
    assert (starts(workspace, "T1"), reviews(workspace, "T1")) == (3, 3)
    assert "> style: line 1 “T1 1”: Fault 1." in prompt(workspace, "T1", 2)
    first, second = review_prompt(workspace, "T1", 1), review_prompt(workspace, "T1", 2)
    assert "> Is it short?" in first
    assert "    1| T1 1\n</output-" in first
    assert "> 1. Short." in first
    assert "> - line 1 “T1 1”: Fault 1." in second
    assert "    1| T1 1\n    2+ more\n" in second
    failed = outcomes["T2"]
    assert (failed["cause"], failed["attempts"]) == ("item-limit-reached", 3)
    assert "style has sent it back 3 times" in failed["reason"]
    assert failed["details"] == ["style: line 1 “T2 1”: Fault 3."]
    # A finding about a line that may not be named is nonsense, and asked again.
    assert (starts(workspace, "T3"), reviews(workspace, "T3")) == (3, 4)
    assert ticked(workspace) == ["T1", "T3"]
    item = workspace.git("log", "--all", "--format=%H", "--grep", "Gitbatch-Item: out/T1.md")
    assert [value.partition(" (")[0] for value in trailers(workspace, item, "Check")] == ["style pass"]
    assert float(trailers(workspace, item, "Cost")[0]) == 0.3
    assert outcomes["T1"]["spent"]["usage"]["cost"] == pytest.approx(0.3)
    audit(workspace)
    assert workspace.git("for-each-ref", "refs/gitbatch/*/unchecked/*") == ""


def test_a_reviewer_that_gives_no_verdict_never_passes_anything(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = ("crash", "fail", "said", "empty", "both", "approve", "far", "edit", "create", "remove")
    once = [f"do: ok; judge: {word} accept" for word in bad]
    always = [f"do: ok; judge: {word} <!-- retries: 1 -->" for word in bad]
    set_up(workspace, *once, *always)
    result, events = run_here(workspace, monkeypatch, jobs=4)
    outcomes = outcomes_of(events)
    names = [f"T{number}" for number in range(1, 2 * len(bad) + 1)]
    passed, refused = names[: len(bad)], names[len(bad) :]
    assert ticked(workspace) == passed
    assert (result.ending, result.failed) == (Ending.COMPLETE, len(bad))
    for name in passed:
        assert (outcomes[name]["attempts"], reviews(workspace, name)) == (1, 2)
    for name, word in zip(refused, bad, strict=True):
        assert outcomes[name]["cause"] == "unreviewed", word
        assert (outcomes[name]["attempts"], starts(workspace, name), reviews(workspace, name)) == (1, 1, 2)
        assert "check style: unreviewed: judge gave no verdict in 2 tries: " in outcomes[name]["reason"]
    reasons = "\n".join(outcomes[name]["reason"] for name in refused)
    for said in (
        "signal 9",
        "exit code 3",
        "wrote none to the file GITBATCH_REPLY",
        "revise without a finding",
        "a key twice",
        "unknown verdict 'approve'",
        "names line 99 of 1",
        "changed out/T18.md: a review changes nothing",
        "changed new.txt",
        "changed task.md",
    ):
        assert said in reasons
    audit(workspace)
    assert workspace.git("for-each-ref", "refs/gitbatch/*/unchecked/*") == ""


def test_a_reviewer_that_takes_too_long_gives_no_verdict(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "do: ok; judge: slow <!-- retries: 0 -->", review='timeout = "1s"')
    _, events = run_here(workspace, monkeypatch)
    outcome = outcomes_of(events)["T1"]
    assert (outcome["cause"], outcome["attempts"]) == ("unreviewed", 1)
    assert "gave no verdict in 1 try: it took longer than 1 seconds" in outcome["reason"]


def test_a_busy_reviewer_waits_and_an_unusable_one_halts_the_batch(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(
        workspace, "do: ok; judge: busy accept", "do: ok; judge: fatal accept", "do: ok; judge: later accept"
    )
    result, events = run_here(workspace, monkeypatch, jobs=1)
    assert result.halt
    assert result.halt.cause is Cause.FATAL
    assert reviews(workspace, "T1") == 2
    assert [event["name"] for event in events if event["event"] == "item-waiting"] == ["T1"]
    assert [event["name"] for event in events if event["event"] == "check-started"] == ["T1", "T2"]
    assert (starts(workspace, "T2"), reviews(workspace, "T2")) == (1, 1)
    result, _ = run_here(workspace, monkeypatch, items=None, checkpoint=None, jobs=1)
    assert (starts(workspace, "T2"), reviews(workspace, "T2")) == (1, 2), "the author is not paid again"
    assert result.halt
    assert result.halt.cause is Cause.LATER
    assert result.halt.back_at is not None
    result, _ = run_here(workspace, monkeypatch, items=None, checkpoint=None)
    assert (starts(workspace, "T3"), reviews(workspace, "T3")) == (1, 2)
    assert result.ending is Ending.COMPLETE
    assert ticked(workspace) == ["T1", "T2", "T3"]
    assert_tidy(workspace)


def test_a_batch_that_halts_does_not_wait_for_the_server_of_a_reviewer(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "do: ok; judge: minute accept", "do: 5 ok; judge: accept")
    result, _ = run_here(workspace, monkeypatch, jobs=2)
    assert result.halt
    assert result.halt.cause is Cause.FATAL
    assert (reviews(workspace, "T1"), ticked(workspace)) == (1, [])
    result, _ = run_here(workspace, monkeypatch, items=None, checkpoint=None)
    assert ticked(workspace) == ["T1", "T2"]
    assert (starts(workspace, "T1"), reviews(workspace, "T1")) == (1, 2)


def test_a_verdict_is_not_asked_for_again_when_another_reviewer_has_halted_the_batch(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = '[ -e "$HOME/again" ] || { touch "$HOME/again"; exit 4; }; echo \'{"verdict": "accept"}\' >"$GITBATCH_REPLY"'
    more = (
        f'[agents.second]\nkind = "command"\ncommand = {json.dumps(["sh", "-c", script])}\nsandbox = "none"\n'
        'exit-codes = {4 = "fatal"}\n[checks.second]\nagent = "second"\nprompt = "?"\non = ["out/*.md"]\n'
    )
    set_up(workspace, "do: ok; judge: accept", more=more)
    result, _ = run_here(workspace, monkeypatch)
    assert result.halt
    assert result.halt.cause is Cause.FATAL
    _, events = run_here(workspace, monkeypatch, items=None, checkpoint=None)
    assert ticked(workspace) == ["T1"]
    assert (starts(workspace, "T1"), reviews(workspace, "T1")) == (1, 1)
    assert [event["check"] for event in events if event["event"] == "check-started"] == ["second"]


def test_what_reviewers_cost_counts_for_the_limits(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(
        workspace,
        "do: paid; judge: empty accept",
        "do: paid; judge: accept",
        agent="reports-usage = true",
        batch="jobs = 1",
    )
    result, events = run_here(workspace, monkeypatch, limits=SpendingLimits(max_cost=0.45))
    assert result.halt
    assert result.halt.cause is Cause.BUDGET
    assert "$0.50 of $0.45 are spent" in result.halt.reason
    assert (starts(workspace, "T1"), reviews(workspace, "T1"), starts(workspace, "T2")) == (1, 1, 0)
    assert ticked(workspace) == []
    more = SpendingLimits(max_cost=2.0)
    result, events = run_here(workspace, monkeypatch, items=None, checkpoint=None, limits=more)
    assert ticked(workspace) == ["T1", "T2"]
    assert (starts(workspace, "T1"), reviews(workspace, "T1")) == (1, 2), "the author is not paid again"
    costs = [outcome["spent"]["usage"]["cost"] for outcome in outcomes_of(events).values()]
    assert costs == [pytest.approx(0.6), pytest.approx(0.5)]


def test_programs_are_asked_first_and_an_output_that_they_refuse_is_not_reviewed(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "grep -q more || exit 1"
    more = f'[checks.words]\ncommand = ["sh", "-c", "{script}"]\nsandbox = "none"\non = ["out/*.md"]\n'
    set_up(workspace, "do: ok more; judge: accept", more=more)
    _, events = run_here(workspace, monkeypatch)
    assert (starts(workspace, "T1"), reviews(workspace, "T1")) == (2, 1)
    results = [event["result"] for event in events if event["event"] == "check-finished"]
    assert [(each["name"], each["verdict"]) for each in results] == [
        ("words", "red"),
        ("words", "pass"),
        ("style", "pass"),
    ]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_ends_in_a_review_repeats_that_review_only(
    workspace: Workspace, number: signal.Signals
) -> None:
    set_up(workspace, "do: paid; judge: hold accept", agent="reports-usage = true")
    process = workspace.start("run", "--items", "all", "--checkpoint", "at-end")
    try:
        wait_until((workspace.home / "T1.holding").exists, "the reviewer has not started")
        process.send_signal(number)
        process.communicate()
    finally:
        kill_agents(workspace)
    workspace.gitbatch("run", code=0)
    assert ticked(workspace) == ["T1"]
    assert (starts(workspace, "T1"), reviews(workspace, "T1")) == (1, 2)
    item = workspace.git("log", "--all", "--format=%H", "--grep", "Gitbatch-Item: out/T1.md")
    if number is signal.SIGINT:  # what it had reported is known
        assert float(trailers(workspace, item, "Cost")[0]) == 0.6
    audit(workspace)
    assert_tidy(workspace)
