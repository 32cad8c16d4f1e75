"""A session as its caller sees it: what it refuses, when it has nothing to run, how it ends."""

import asyncio
from collections.abc import Iterator

import pytest
from conftest import Workspace
from history import assert_tidy, ticked
from sessions import run_here, session_settings

from gitbatch.batch.caller import PauseAlways, Unattended
from gitbatch.batch.ending import Ending
from gitbatch.batch.events import BatchStopped, Event, Notice
from gitbatch.batch.model import Checkpoint, CheckpointMode
from gitbatch.batch.session import open_session
from gitbatch.errors import BusyError, UsageError
from gitbatch.plan.model import Plan
from gitbatch.repo.opening import open_repository
from gitbatch.repo.refs.names import BATCHES
from gitbatch.repo.refs.store import Refs
from gitbatch.repo.repository import Repository


@pytest.fixture
def opened(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """The sample's repository, opened in this process."""
    for name, value in three.environment.items():
        monkeypatch.setenv(name, value)
    repo = open_repository(three.root)
    yield repo
    repo.close()


@pytest.mark.parametrize("missing", ["items", "checkpoint"])
def test_missing_choice(three: Workspace, opened: Repository, missing: str) -> None:
    before = three.state()
    settings = session_settings(three, **{missing: None})
    with pytest.raises(UsageError, match=f"missing --{missing}"), open_session(opened, settings):
        pass
    assert three.state() == before


def test_batches_are_read_once(three: Workspace, opened: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Git starts a process for each reading, before every run."""
    read: list[str] = []
    below = Refs.below

    def count(refs: Refs, prefix: str) -> dict[str, str]:
        read.append(prefix)
        return below(refs, prefix)

    monkeypatch.setattr(Refs, "below", count)
    with pytest.raises(UsageError), open_session(opened, session_settings(three, items=None)):
        pass
    assert read == [BATCHES]


def test_frontend_answers(three: Workspace, opened: Repository) -> None:
    class Answers(Unattended):
        can_ask = True

        def choose_items(self, plan: Plan) -> str:
            return f"group:{plan.groups[0].number}"

        def choose_mode(self, groups: int) -> CheckpointMode:
            assert groups == 1
            return CheckpointMode.parse("at-end")

    settings = session_settings(three, items=None, checkpoint=None)
    with open_session(opened, settings, frontend=Answers()) as session:
        result = asyncio.run(session.run(PauseAlways()))
    assert (result.ending, result.succeeded) == (Ending.COMPLETE, 4)
    assert len(ticked(three)) == 4


def test_lock_is_held_while_open(three: Workspace, opened: Repository) -> None:
    with open_session(opened, session_settings(three)):
        with pytest.raises(BusyError), open_session(opened, session_settings(three)):
            pass
        assert "another gitbatch is running" in three.gitbatch("abort", code=75).stderr
    three.gitbatch("abort", code=0)


def test_nothing_to_do(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run_here(three, monkeypatch)
    result, events = run_here(three, monkeypatch)
    assert (result.ending, result.has_ended) == (Ending.COMPLETE, True)
    assert [event["event"] for event in events] == ["batch-stopped"]


def test_pause_and_resume(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    each = CheckpointMode.parse("after-each")
    paused, _ = run_here(three, monkeypatch, checkpoint=each)
    assert (paused.ending, paused.has_ended) == (Ending.PAUSED, False)
    resumed, _ = run_here(three, monkeypatch, items=" ALL", checkpoint=each)
    assert resumed.ending is Ending.PAUSED


def test_reviewer_continues(three: Workspace, opened: Repository) -> None:
    seen: list[int] = []

    class Continue(PauseAlways):
        async def review_checkpoint(self, checkpoint: Checkpoint) -> bool:
            seen.append(checkpoint.number)
            return True

    settings = session_settings(three, checkpoint=CheckpointMode.parse("after-each"))
    with open_session(opened, settings) as session:
        result = asyncio.run(session.run(Continue()))
    assert (result.ending, seen) == (Ending.COMPLETE, [1, 2])


def change_program(workspace: Workspace) -> None:
    workspace.edit("gitbatch.toml", 'command = ["', 'command = ["env", "')
    workspace.commit("Another program")


def test_changed_configuration_is_refused(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run_here(three, monkeypatch, checkpoint=CheckpointMode.parse("after-each"))
    change_program(three)
    refused, events = run_here(three, monkeypatch, items=None, checkpoint=None)
    assert refused.ending is Ending.CONFIG_CHANGED
    assert [event["event"] for event in events] == ["config-changed"]
    accepted, events = run_here(three, monkeypatch, items=None, checkpoint=None, accept_config=True)
    assert accepted.ending is Ending.PAUSED
    assert events[1]["text"].startswith("accepted: ")


def test_notices_reach_listeners(three: Workspace, opened: Repository) -> None:
    events: list[Event] = []
    with open_session(opened, session_settings(three), (events.append,)) as session:
        session.notify("a word")
        session.refuse_git()
    assert [event.text for event in events if isinstance(event, Notice)] == ["a word"]
    three.gitbatch("run", code=0)
    assert_tidy(three)


def test_settled_session_ignores_signals(three: Workspace, opened: Repository) -> None:
    three.gitbatch("run", "--items", "all", "--checkpoint", "at-end", code=0)
    events: list[Event] = []
    with open_session(opened, session_settings(three), (events.append,)) as session:
        session.notify("not shown")
        session.refuse_git()
        assert session.known_result == asyncio.run(session.run(PauseAlways()))
    assert [type(event) for event in events] == [BatchStopped]


def test_unattended_refuses() -> None:
    with pytest.raises(UsageError, match="checkpoint mode for 2 groups"):
        Unattended().choose_mode(2)
    assert not Unattended().accept_config()
