"""What a person asks of a run while its items run: stop one of them, or pause when they are done."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
from batch.programs import set_up, starts
from conftest import Workspace
from history import assert_tidy, audit
from sessions import session_settings

from gitbatch.batch.caller import PauseAlways
from gitbatch.batch.ending import Ending, Result
from gitbatch.batch.events import BatchHalted, Event, ItemCharged, ItemFinished, ItemProgress, ItemStarted
from gitbatch.batch.session import Session, open_session
from gitbatch.errors import ExitCode
from gitbatch.limits.causes import Cause
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository
from gitbatch.view.run_end import describe_end


@pytest.fixture
def opened(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    repo = open_repository(workspace.root)
    yield repo
    repo.close()


def run_asking(
    workspace: Workspace, repo: Repository, ask: Callable[[Session, Event], None], jobs: int = 4
) -> tuple[Result, list[Event]]:
    """Runs all items; each event is shown to what asks something of the session."""
    events: list[Event] = []
    asked: list[Session] = []

    def listen(event: Event) -> None:
        events.append(event)
        if asked:
            ask(asked[0], event)

    with open_session(repo, session_settings(workspace, jobs=jobs), (listen,)) as session:
        asked.append(session)
        return asyncio.run(session.run(PauseAlways())), events


@pytest.mark.rule("E1")
def test_stopping_one_item_fails_it_alone(workspace: Workspace, opened: Repository) -> None:
    set_up(workspace, "paidslow", "ok")

    def stop_first(session: Session, event: Event) -> None:
        if isinstance(event, ItemProgress):
            assert session.stop_item(event.slug)

    result, events = run_asking(workspace, opened, stop_first)
    outcomes = {e.outcome.item.name: e.outcome for e in events if isinstance(e, ItemFinished)}
    first = outcomes["T1"]
    assert (first.reason, first.cause, first.attempts) == ("stopped by the user", Cause.STOPPED, 1)
    assert first.spent.usage.cost == 0.4, "what it had used is paid for"
    assert [(e.item, e.usage.cost) for e in events if isinstance(e, ItemCharged)] == [("out/T1.md", 0.4)]
    assert outcomes["T2"].succeeded
    assert (result.ending, result.succeeded, result.failed) == (Ending.COMPLETE, 1, 1)
    assert starts(workspace, "T1") == 1, "it is not tried again"
    assert len(audit(workspace).items) == 1
    assert_tidy(workspace)


@pytest.mark.rule("F6")
def test_stopping_an_item_ends_its_checks(workspace: Workspace, opened: Repository) -> None:
    """Its agent has ended and is paid for; what it wrote is kept as that of a failed attempt, and no check runs again."""
    set_up(workspace, "ok", "ok")
    script = (
        'echo "$1" >>"$HOME/checked"; [ "$GITBATCH_OUTPUT" = out/T2.md ] || { echo here; exec sleep 600; }'
    )
    workspace.write("check.sh", script)
    check = '[checks.one]\ncommand = ["sh", "check.sh", "one"]\non = ["out/*.md"]\nsandbox = "none"\ntimeout = "9s"\n'
    workspace.write("gitbatch.toml", workspace.read("gitbatch.toml") + check)
    workspace.commit("Checks")
    stopped: list[bool] = []

    def stop_first(session: Session, event: Event) -> None:
        if isinstance(event, ItemProgress) and event.line.endswith(": here"):
            stopped.append(session.stop_item(event.slug))

    result, events = run_asking(workspace, opened, stop_first)
    outcomes = {e.outcome.item.name: e.outcome for e in events if isinstance(e, ItemFinished)}
    first = outcomes["T1"]
    assert stopped == [True]
    assert (first.cause, first.attempts) == (Cause.STOPPED, 1)
    assert first.reason == "check one: stopped by the user"
    assert first.rescued
    assert (result.ending, result.succeeded, result.failed) == (Ending.COMPLETE, 1, 1)
    assert starts(workspace, "T1") == 1
    assert sorted((workspace.home / "checked").read_text().split()) == ["one", "one"]
    assert_tidy(workspace)


def test_pause_lets_running_items_end_and_starts_no_other(workspace: Workspace, opened: Repository) -> None:
    set_up(workspace, "ok", "ok", "ok")

    def pause_at_once(session: Session, event: Event) -> None:
        if isinstance(event, ItemStarted):
            session.request_pause()

    result, events = run_asking(workspace, opened, pause_at_once, jobs=1)
    (halted,) = [event for event in events if isinstance(event, BatchHalted)]
    assert (result.ending, halted.cause, halted.items_left) == (Ending.HALTED, Cause.PAUSED, 2)
    assert describe_end(result, "").code is ExitCode.PAUSED
    assert [starts(workspace, f"T{number}") for number in (1, 2, 3)] == [1, 0, 0]
    workspace.gitbatch("run", code=0)
    assert [starts(workspace, f"T{number}") for number in (1, 2, 3)] == [1, 1, 1]
    assert_tidy(workspace)
