"""The options of `gitbatch run` as settings, and the exit code and hint of each ending."""

import signal
from math import inf
from pathlib import Path
from typing import Any

import pytest

from gitbatch.batch.ending import Ending, Result
from gitbatch.batch.item.stop import Halt
from gitbatch.cli.batch import RunOptions, report_end
from gitbatch.cli.common import HERE
from gitbatch.errors import ExitCode, UsageError
from gitbatch.limits.causes import Cause
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text


def halted(cause: Cause) -> Result:
    return Result(Ending.HALTED, 1, 0, has_ended=False, halt=Halt(cause, clean_text("why"), "what to do"))


@pytest.mark.parametrize(
    ("result", "code", "hint"),
    [
        (Result(Ending.COMPLETE, 2, 0, has_ended=True), ExitCode.DONE, ""),
        (Result(Ending.COMPLETE, 1, 1, has_ended=True), ExitCode.FAILED, ""),
        (Result(Ending.STOPPED, 1, 0, has_ended=False), ExitCode.FAILED, ""),
        (Result(Ending.PAUSED, 1, 0, has_ended=False), ExitCode.PAUSED, "resume: gitbatch run"),
        (
            Result(Ending.CONFIG_CHANGED, 0, 0, has_ended=False),
            ExitCode.PAUSED,
            "gitbatch run --accept-config",
        ),
        (halted(Cause.BUSY), ExitCode.TRY_AGAIN, "what to do"),
        (halted(Cause.LATER), ExitCode.TRY_AGAIN, "what to do"),
        (halted(Cause.BUDGET), ExitCode.PAUSED, "what to do"),
        (halted(Cause.DISK), ExitCode.FAILED, "what to do"),
        (signal.SIGINT, ExitCode.INTERRUPTED, "resume: gitbatch run"),
        (signal.SIGTERM, ExitCode.TERMINATED, "resume: gitbatch run"),
        (signal.SIGHUP, ExitCode.HUNG_UP, "resume: gitbatch run"),
    ],
)
def test_exit_code(
    result: Result | signal.Signals, code: ExitCode, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report_end(result, HERE) is code
    said = capsys.readouterr().err
    assert hint in said
    assert bool(hint) == bool(said)


def test_hint_names_the_folder(capsys: pytest.CaptureFixture[str]) -> None:
    report_end(signal.SIGINT, Path("a b"))
    assert "resume: gitbatch run -C 'a b'\n" in capsys.readouterr().err


def test_settings(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITBATCH_WORKTREES", "~/trees")
    options = RunOptions(
        task_md=Path("docs/task.md"),
        checkpoint="after-batch:2",
        wait=True,
        no_fetch=True,
        directory=repo.root,
    )
    settings = options.make_settings(repo)
    assert settings.plan.path == "docs/task.md"
    assert str(settings.checkpoint) == "after-batch:2"
    assert settings.worktrees == Path("~/trees").expanduser()
    assert (settings.longest_wait, settings.fetch) == (inf, False)


def test_default_settings(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITBATCH_WORKTREES", raising=False)
    settings = RunOptions(directory=repo.root).make_settings(repo)
    assert (settings.plan.path, settings.items, settings.checkpoint) == (None, None, None)
    assert (settings.worktrees, settings.longest_wait, settings.fetch) == (None, None, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"checkpoint": "sometimes"}, "checkpoint mode"),
        ({"checkpoint": "after-batch:0"}, "checkpoint mode"),
        ({"task_md": Path("../elsewhere.md")}, "is outside the repository"),
    ],
)
def test_bad_options(repo: Repository, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as raised:
        RunOptions(directory=repo.root, **options).make_settings(repo)
    assert raised.value.advice


@pytest.mark.parametrize("option", ["no_input", "json"])
def test_programs_are_not_asked(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in ("sys.stdin.isatty", "sys.stdout.isatty"):
        monkeypatch.setattr(stream, lambda: True)
    assert RunOptions().can_ask
    assert not RunOptions(**{option: True}).can_ask  # type: ignore[arg-type]  # both are flags
