"""The end of a run: exit code, envelope and what is said, for each way in which it can end."""

import json
import signal

import pytest

from gitbatch.batch.ending import Ending, Result
from gitbatch.batch.item.stop import Halt
from gitbatch.batch.model import FailedItem, ItemStatus
from gitbatch.cli.batch import report_end
from gitbatch.cli.common import HERE
from gitbatch.errors import ErrorKind, ExitCode
from gitbatch.limits.causes import Cause
from gitbatch.text import clean_text
from gitbatch.view.envelope import encode_output
from gitbatch.view.outputs.run import run_output
from gitbatch.view.run_end import describe_end

FAILURE = FailedItem(1, "a.md", "T1", ItemStatus.FAILED, clean_text("exit code 1"), "0123456789abcdef")


def halted(cause: Cause) -> Result:
    halt = Halt(cause, clean_text("it halted"), "do this", 7.0)
    return Result(Ending.HALTED, 1, 0, has_ended=False, halt=halt)


@pytest.mark.parametrize(
    ("result", "code", "kind", "advice"),
    [
        (Result(Ending.COMPLETE, 2, 0, has_ended=True), ExitCode.DONE, None, ""),
        (
            Result(Ending.PAUSED, 2, 0, has_ended=False),
            ExitCode.PAUSED,
            ErrorKind.PAUSED,
            "resume: gitbatch run -C x",
        ),
        (
            Result(Ending.PAUSED, 2, 0, has_ended=False, needs_review=True),
            ExitCode.PAUSED,
            ErrorKind.PAUSED,
            "decide: gitbatch review -C x; then resume: gitbatch run -C x",
        ),
        (
            Result(Ending.CONFIG_CHANGED, 0, 0, has_ended=False),
            ExitCode.PAUSED,
            ErrorKind.CONFIG_CHANGED,
            "gitbatch run -C x --accept-config",
        ),
        (
            Result(Ending.COMPLETE, 0, 0, has_ended=True, not_run="1 open item does not run"),
            ExitCode.FAILED,
            ErrorKind.STOPPED,
            "",
        ),
        (halted(Cause.BUDGET), ExitCode.PAUSED, ErrorKind.HALTED, "do this"),
        (halted(Cause.BUSY), ExitCode.TRY_AGAIN, ErrorKind.HALTED, "do this"),
        (halted(Cause.FATAL), ExitCode.FAILED, ErrorKind.HALTED, "do this"),
        (Result(Ending.STOPPED, 0, 0, has_ended=False), ExitCode.FAILED, ErrorKind.STOPPED, "last event"),
        (
            Result(Ending.COMPLETE, 1, 1, has_ended=True, failures=(FAILURE,)),
            ExitCode.FAILED,
            ErrorKind.ITEMS_FAILED,
            "again: gitbatch run -C x --items failed",
        ),
    ],
    ids=lambda value: str(value) if isinstance(value, ErrorKind) else "",
)
def test_endings(result: Result, code: ExitCode, kind: ErrorKind | None, advice: str) -> None:
    end = describe_end(result, " -C x")
    assert (end.code, end.kind) == (code, kind)
    assert advice in end.advice
    shown = json.loads(encode_output(run_output(result, end)))
    assert shown["ok"] == (kind is None)
    assert (shown["error"] or {}).get("code") == kind
    assert shown["ending"] == result.ending
    assert shown["back_at"] == (7.0 if result.halt else None)


def test_interruption_is_an_envelope_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert report_end(signal.SIGTERM, HERE, json=True) == ExitCode.TERMINATED
    said = capsys.readouterr()
    shown = json.loads(said.out)
    assert (shown["ok"], shown["ending"], shown["error"]["code"]) == (False, None, "interrupted")
    assert "resume: gitbatch run" in shown["error"]["advice"]
    assert said.err.startswith("gitbatch: interrupted")
