"""Whole runs with early items: what they may cost, when they run, what a pause says of them (rule F2)."""

import json

import pytest
from batch.early_runs import count_starts, run_early, tell, write_plan
from conftest import Workspace

from gitbatch.batch.ending import Ending
from gitbatch.batch.events import EarlyWork, Event, ItemFinished, Notice
from gitbatch.batch.history.ledger import SpendingLimits
from gitbatch.batch.model import CheckpointMode
from gitbatch.batch.review.sheet import read_sheet
from gitbatch.batch.session import Session
from gitbatch.limits.usage import Spent, Usage
from gitbatch.repo.opening import open_repository
from gitbatch.text import clean_text

AFTER_EACH = CheckpointMode.parse("after-each")
PAID = "reports-usage = true\n"


@pytest.mark.rule("F2")
def test_a_pause_says_what_is_done_of_later_groups(workspace: Workspace) -> None:
    """And the status marks it; the next run takes it, and nothing runs twice."""
    write_plan(workspace, "A1\nA2\n", "B1 out/A1.md\nB2 out/A2.md\n", config=PAID)
    tell(workspace, "A2", "wait_for B1\n")
    tell(workspace, "B1", "wait_for_file go\n")

    def listen(_: Session, event: Event) -> None:
        if isinstance(event, Notice) and event.text == "1 item of later groups must end first":
            (workspace.home / "go").touch()

    ran = run_early(workspace, listen=listen, checkpoint=AFTER_EACH)
    assert ran.result.ending is Ending.PAUSED
    (paused,) = ran.list_of("batch-paused")
    assert (paused["early"]["done"], paused["early"]["running"]) == (1, 0)
    assert paused["early"]["spent"]["usage"]["cost"] == 0.5
    times = {
        (event["event"], event.get("name") or event["outcome"]["item"]["name"]): event["at"]
        for event in ran.events
        if event["event"] in {"item-started", "item-finished"}
    }
    assert times["item-started", "B1"] < times["item-finished", "A2"]
    items = json.loads(workspace.gitbatch("status", "--json", code=0).stdout)["items"]
    assert [(each["name"], each["status"]) for each in items if each["early"]] == [("B1", "not-merged")]
    repo = open_repository(workspace.root, read_only=True)
    assert read_sheet(repo).early == EarlyWork(
        1, 0, Spent(Usage(clean_text("m"), input=1, requests=1, cost=0.5), known=1)
    )
    repo.close()
    again = run_early(workspace, items=None, checkpoint=None)
    assert (again.result.succeeded, count_starts(workspace, "B1"), count_starts(workspace, "B2")) == (4, 1, 1)
    assert workspace.gitbatch("verify", code=0).stdout.endswith("nothing found\n")


@pytest.mark.rule("F2")
def test_a_limit_that_suffices_for_the_open_group_alone(workspace: Workspace) -> None:
    """The early item waits for its group, which a line says, and does not halt the batch; then the limit is reached."""
    write_plan(workspace, "A1\nA2\n", "B1 out/A1.md\nB2 out/A1.md\n", config=PAID)
    tell(workspace, "A2", "wait_for_file go\n")

    def listen(session: Session, event: Event) -> None:  # noqa: ARG001 - a listener
        if isinstance(event, Notice) and "B1 starts with its group" in event.text:
            (workspace.home / "go").touch()

    ran = run_early(workspace, listen=listen, limits=SpendingLimits(max_cost=1.0))
    said = (
        "B1 starts with its group, and so may others: the open group may need what is left of the cost limit"
    )
    assert ran.notices.count(said) == ran.notices.count("starts with its group") == 1
    assert (ran.early, ran.result.ending, ran.result.succeeded) == ([], Ending.HALTED, 2)
    assert len(ran.list_of("checkpoint")) == 1
    assert count_starts(workspace, "B1") == 0
    again = run_early(workspace, items=None, checkpoint=None, limits=SpendingLimits(max_cost=2.0))
    assert (again.result.ending, again.result.succeeded, again.early) == (Ending.COMPLETE, 4, [])


@pytest.mark.rule("F2")
def test_a_limit_of_tokens_is_not_called_one_of_cost(workspace: Workspace) -> None:
    write_plan(workspace, "A1\nA2\n", "B1 out/A1.md\n", config=PAID)
    tell(workspace, "A2", "wait_for_file go\n")

    def listen(_: Session, event: Event) -> None:
        if isinstance(event, Notice) and "B1 starts with its group" in event.text:
            (workspace.home / "go").touch()

    ran = run_early(workspace, listen=listen, limits=SpendingLimits(max_tokens=1))
    assert ran.notices.endswith("B1 starts with its group, and so may others: a limit is reached")


@pytest.mark.rule("F2")
def test_a_plan_without_contexts_is_run_as_without_early_start(workspace: Workspace) -> None:
    write_plan(workspace, "A1\n", "B1\n")
    ran = run_early(workspace)
    (started,) = ran.list_of("batch-started")
    assert (started["eager"], started["eager_reason"]) == ("off", "asked-nothing-can-start")
    assert (ran.result.succeeded, ran.early) == (2, [])
    assert "Gitbatch-Format: 3" not in workspace.git("log", "--format=%B")


@pytest.mark.rule("F2")
def test_nothing_starts_early_that_would_be_stale_without_any_change(workspace: Workspace) -> None:
    """B2 revised, before its group, what A1 wrote. C1 reads that: its base would have both versions, also when A1 is merged."""
    write_plan(workspace, "A1\nA2\n", "B1\nB2 agent.sh\n", "C1 out/A1.md\n")
    workspace.edit("task.md", "out/B2.md", "out/A1.md")
    workspace.commit()
    tell(workspace, "A2", "wait_for_file go\n")

    def listen(_: Session, event: Event) -> None:
        if isinstance(event, ItemFinished) and event.outcome.item.name == "B2":
            (workspace.home / "go").touch()

    ran = run_early(workspace, listen=listen)
    assert (ran.result.succeeded, ran.early, count_starts(workspace, "C1")) == (5, ["B2"], 1)
    assert "again: " not in ran.notices
