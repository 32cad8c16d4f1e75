"""The exit code of a run that was watched is that of the run."""

import pytest

from gitbatch.batch.events import BatchFinished, BatchHalted, BatchPaused, BatchStopped, EndEvent
from gitbatch.errors import ErrorKind, ExitCode
from gitbatch.limits.causes import Cause
from gitbatch.text import CleanText
from gitbatch.view.watched import NO_END, describe_watched


def halted(cause: Cause) -> BatchHalted:
    return BatchHalted(batch="b", cause=cause, reason=CleanText("r"), advice="a", back_at=None, items_left=1)


def stopped(*items: str) -> BatchStopped:
    return BatchStopped(batch="b", reason="r", advice="a", open_items=items)


@pytest.mark.parametrize(
    ("event", "has_ended", "code", "kind"),
    [
        (BatchFinished(batch="b", succeeded=2, failed=0), True, ExitCode.DONE, None),
        (BatchFinished(batch="b", succeeded=1, failed=1), True, ExitCode.FAILED, ErrorKind.ITEMS_FAILED),
        (BatchPaused(batch="b", next_group="G"), False, ExitCode.PAUSED, ErrorKind.PAUSED),
        (halted(Cause.BUSY), False, ExitCode.TRY_AGAIN, ErrorKind.HALTED),
        (halted(Cause.BUDGET), False, ExitCode.PAUSED, ErrorKind.HALTED),
        (halted(Cause.DISK), False, ExitCode.FAILED, ErrorKind.HALTED),
        (stopped(), False, ExitCode.FAILED, ErrorKind.STOPPED),
        (stopped("T1"), True, ExitCode.FAILED, ErrorKind.STOPPED),
        (stopped(), True, ExitCode.DONE, None),
    ],
)
def test_code(event: EndEvent, has_ended: bool, code: ExitCode, kind: ErrorKind | None) -> None:  # noqa: FBT001 - a row
    end = describe_watched(event, has_ended=has_ended, folder_option="")
    assert (end.code, end.kind) == (code, kind)


def test_run_without_an_end() -> None:
    end = describe_watched(None, has_ended=False, folder_option=" -C x")
    assert (end.code, end.message) == (ExitCode.FAILED, NO_END)
    assert end.advice.startswith("resume: gitbatch run -C x ")
