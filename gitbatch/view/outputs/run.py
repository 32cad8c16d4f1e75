"""The last line of `gitbatch run --json`, after the events."""

from gitbatch.batch.ending import Ending, Result
from gitbatch.batch.model import FailedItem
from gitbatch.limits.causes import Cause
from gitbatch.view.envelope import Envelope, make_report
from gitbatch.view.run_end import EndReport


class RunOutput(Envelope, frozen=True):
    """How a run ended; `ok` is true if nothing is left to do and every item succeeded."""

    ending: Ending | None
    """Null if a signal ended the run."""
    succeeded: int = 0
    failed: int = 0
    failures: tuple[FailedItem, ...] = ()
    """The items of a batch that has ended which did not succeed."""
    has_ended: bool = False
    """Whether the batch has ended, so that the next run starts a new one."""
    cause: Cause | None = None
    """Why a run halted."""
    back_at: float | None = None
    """Seconds since the epoch: when to resume, where a server gave a time."""


def run_output(result: Result | None, end: EndReport) -> RunOutput:
    """Returns the envelope of a run; `result` is None if a signal ended it."""
    error = make_report(end.kind, end.message, end.advice) if end.kind else None
    if result is None:
        return RunOutput(None, ok=False, error=error)
    return RunOutput(
        result.ending,
        result.succeeded,
        result.failed,
        result.failures,
        result.has_ended,
        result.halt.cause if result.halt else None,
        result.halt.back_at if result.halt else None,
        ok=error is None,
        error=error,
    )
