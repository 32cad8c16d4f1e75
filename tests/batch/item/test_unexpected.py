"""An internal error while one item runs fails that attempt, whatever it is; the others are finished (rule E1)."""

import asyncio
import errno
import gc
import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from batch.programs import set_up, starts
from conftest import Workspace
from history import assert_tidy, audit, ticked
from sessions import run_here
from waiting import loop_turns

from gitbatch.agents.process.agent import ProcessAgent
from gitbatch.agents.protocol import AgentFolders, Assignment, Failure, Progress, Reply
from gitbatch.batch.ending import Ending
from gitbatch.batch.item import attempt, judge, unexpected
from gitbatch.batch.item import commit as item_commit
from gitbatch.batch.item.unexpected import find_run_error
from gitbatch.errors import BusyError, GitError
from gitbatch.repo.fingerprint import TamperedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NAMES = (
    "KeyError",
    "RecursionError",
    "TimeoutError",
    "ExceptionGroup",
    "FileNotFoundError",
    "SystemExit",
    "GeneratorExit",
    "CancelledError",
    "OwnError",
    "BaseExceptionGroup",
    "UnprintableError",
)


@pytest.fixture
def collected() -> "Iterator[None]":
    """Collect the tasks that an interruption leaves.

    asyncio reports each of them when it is collected, and the report parses the lines of its traceback. In the midst
    of another test's `ast.parse` CPython 3.11 takes this for an error of that parser.
    """
    yield
    gc.collect()


class OwnError(BaseException):
    """No `Exception`."""


class UnprintableError(Exception):
    """Neither its text nor its representation can be had."""

    def __str__(self) -> str:
        raise ZeroDivisionError

    __repr__ = __str__


def error_named(name: str) -> BaseException:
    """An error of a type, as an agent might raise it."""
    errors: dict[str, BaseException] = {
        "SystemExit": SystemExit(7),
        "GeneratorExit": GeneratorExit(),
        "CancelledError": asyncio.CancelledError(),
        "OwnError": OwnError("x"),
        "BaseExceptionGroup": BaseExceptionGroup("several", [SystemExit(7), KeyError("a")]),
        "UnprintableError": UnprintableError(),
        "KeyError": KeyError("m03"),
        "RecursionError": RecursionError("maximum recursion depth exceeded"),
        "TimeoutError": TimeoutError(),
        "ExceptionGroup": ExceptionGroup("several", [KeyError("a"), ValueError("b")]),
        "FileNotFoundError": FileNotFoundError(errno.ENOENT, "No such file or directory", "x"),
    }
    return errors[name]


def raising(monkeypatch: pytest.MonkeyPatch, error: BaseException, times: int) -> list[int]:
    """Let the agent of the second item raise an error in its first attempts."""
    met: list[int] = []
    really = ProcessAgent.run

    async def run(
        self: ProcessAgent, assignment: Assignment, place: AgentFolders, progress: Progress
    ) -> Reply | Failure:
        if assignment.output == "out/T2.md" and assignment.attempt <= times:
            met.append(assignment.attempt)
            await loop_turns()
            raise error
        return await really(self, assignment, place, progress)

    monkeypatch.setattr(ProcessAgent, "run", run)
    return met


@pytest.mark.rule("E1")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.sample(5)
def test_an_error_of_an_agent_fails_its_attempt_alone(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    set_up(workspace, "ok", "ok", "ok", batch="retries = 1\nretry-pause = '0s'")
    met = raising(monkeypatch, error_named(name), 1)
    result, events = run_here(workspace, monkeypatch)
    assert (result.failed, met) == (0, [1])
    (failed,) = [event["outcome"] for event in events if event["event"] == "attempt-failed"]
    assert failed["reason"].startswith(f"internal error in agent told: {name}")
    (where,) = failed["details"]
    log = Path(where.removeprefix("the traceback is in ")).read_text()
    assert "Traceback (most recent call last)" in log
    assert name in log
    assert "test_unexpected.py" in log
    assert [starts(workspace, item) for item in ("T1", "T2", "T3")] == [1, 1, 1]
    assert len(audit(workspace).items) == 3
    assert_tidy(workspace)


@pytest.mark.rule("E1", "E2", "E3")
def test_an_error_in_every_attempt_fails_the_item_alone(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(
        workspace, "ok", "ok", "ok", batch="retries = 1\nretry-pause = '0s'", agent='pass-env = ["MY_KEY"]'
    )
    workspace.environment["MY_KEY"] = "sk-Ab3x9zz-QQ77rr"
    met = raising(monkeypatch, KeyError(workspace.environment["MY_KEY"]), 9)
    result, events = run_here(workspace, monkeypatch)
    assert (result.failed, met) == (1, [1, 2])
    assert ticked(workspace) == ["T1", "T3"]
    said = workspace.git("log", "-1", "--format=%B")
    assert "internal error in agent told: KeyError: '[value of MY_KEY]'" in " ".join(said.split())
    assert workspace.environment["MY_KEY"] not in said + json.dumps(events)
    (log, other) = (workspace.home / ".local/state/gitbatch/log").iterdir()
    assert log != other
    assert workspace.environment["MY_KEY"] not in log.read_text() + other.read_text()
    assert_tidy(workspace)


@pytest.mark.parametrize("function", ["find_starting_point", "make_assignment", "judge_work"])
def test_an_error_in_our_own_code_fails_the_attempt_alone(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    set_up(workspace, "ok", "ok", batch="retries = 1\nretry-pause = '0s'")
    really: Callable[..., Any] = getattr(attempt, function)
    errors = [AssertionError("never")]

    def once(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever it takes
        if errors:
            raise errors.pop()
        return really(*args, **kwargs)

    monkeypatch.setattr(attempt, function, once)
    result, events = run_here(workspace, monkeypatch)
    assert result.failed == 0
    (failed,) = [event["outcome"] for event in events if event["event"] == "attempt-failed"]
    assert failed["reason"] == "internal error in agent told: AssertionError: never"
    assert len(audit(workspace).items) == 2
    assert_tidy(workspace)


@pytest.mark.parametrize(
    "error",
    [
        TamperedError("x"),
        BusyError("x"),
        GitError(("x",), 1, ""),
        ExceptionGroup("x", [KeyError(), GitError(("x",), 1, "")]),
    ],
    ids=repr,
)
def test_what_concerns_every_item_ends_the_run(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    set_up(workspace, "ok", "ok")
    raising(monkeypatch, error, 1)
    expected = error.exceptions[1] if isinstance(error, ExceptionGroup) else error
    with pytest.raises(type(expected)) as raised:
        run_here(workspace, monkeypatch)
    assert raised.value is expected


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        ExceptionGroup("x", [KeyError(), OSError(errno.EIO, "Input/output error")]),
        GitError(("x",), 128, "fatal: unable to write loose object file: Input/output error"),
    ],
    ids=repr,
)
def test_a_disk_that_fails_halts_the_batch_and_is_no_attempt(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    set_up(workspace, "ok", "ok")
    raising(monkeypatch, error, 1)
    result, events = run_here(workspace, monkeypatch)
    assert result.ending is Ending.HALTED
    assert [event["cause"] for event in events if event["event"] == "batch-halted"] == ["disk-error"]
    assert not [event for event in events if event["event"] == "attempt-failed"]


def test_what_an_item_cost_is_known_though_the_disk_did_not_take_its_output(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "paid")
    really, met = item_commit.take_output, list[str]()

    def fails_once(*arguments: Any) -> Any:  # noqa: ANN401 - whatever it takes
        met.append("")
        if len(met) == 1:
            raise OSError(errno.EIO, "Input/output error")
        return really(*arguments)

    monkeypatch.setattr(judge, "take_output", fails_once)
    result, events = run_here(workspace, monkeypatch)
    assert (result.ending, events[-1]["event"]) == (Ending.HALTED, "batch-halted")
    (ref,) = workspace.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/ledger/*").splitlines()
    (tried,) = json.loads(workspace.git("cat-file", "blob", ref))
    assert (tried["cause"], tried["usage"]["cost"]) == ("disk-error", 0.4)
    result, events = run_here(workspace, monkeypatch)
    assert (result.ending, events[-1]["event"]) == (Ending.COMPLETE, "batch-finished")
    assert events[-1]["spent"]["usage"]["cost"] == 0.8
    assert [event["attempt"] for event in events if event["event"] == "item-started"] == [1]


@pytest.mark.usefixtures("collected")
@pytest.mark.parametrize("grouped", [False, True], ids=["alone", "in a group"])
def test_an_interruption_stays_one(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, *, grouped: bool
) -> None:
    set_up(workspace, "ok", "ok")
    error = KeyboardInterrupt()
    raising(monkeypatch, BaseExceptionGroup("x", [KeyError(), error]) if grouped else error, 1)
    with pytest.raises(KeyboardInterrupt):
        run_here(workspace, monkeypatch)


def test_a_cancellation_is_told_apart_from_an_error_of_the_agent() -> None:
    async def judge(*, ended: bool) -> BaseException | None:
        task = asyncio.current_task()
        if task and ended:
            task.cancel()
        try:
            await loop_turns()
        except asyncio.CancelledError as real:
            return find_run_error(real)
        return find_run_error(asyncio.CancelledError())

    assert isinstance(asyncio.run(judge(ended=True)), asyncio.CancelledError)
    assert asyncio.run(judge(ended=False)) is None
    assert find_run_error(KeyError()) is None


def test_an_error_of_an_agent_that_is_ended_does_not_start_it_again(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok", batch="retries = 1\nretry-pause = '0s'")
    started: list[str] = []

    async def run(_: ProcessAgent, assignment: Assignment, *_rest: object) -> Reply | Failure:
        started.append(assignment.output)
        signal.raise_signal(signal.SIGINT)
        try:
            await asyncio.Event().wait()
        finally:
            raise KeyError("m03")

    monkeypatch.setattr(ProcessAgent, "run", run)
    with pytest.raises(KeyboardInterrupt):
        run_here(workspace, monkeypatch)
    assert started == ["out/T1.md"]


def test_a_traceback_that_cannot_be_written_is_said(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok", "ok", batch="retries = 1\nretry-pause = '0s'")
    raising(monkeypatch, KeyError("m03"), 1)

    def fail(*_: object) -> Path:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES), "/log")

    monkeypatch.setattr(unexpected, "write_traceback", fail)
    _, events = run_here(workspace, monkeypatch)
    (failed,) = [event["outcome"] for event in events if event["event"] == "attempt-failed"]
    assert failed["details"] == ["the traceback cannot be written: [Errno 13] Permission denied: '/log'"]
