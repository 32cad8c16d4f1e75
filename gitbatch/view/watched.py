"""The end of a run that was watched from another terminal: the exit code that the run itself has."""

from gitbatch.batch.ending import Ending, Result
from gitbatch.batch.events import BatchFinished, BatchHalted, BatchPaused, BatchStopped, EndEvent
from gitbatch.batch.item.stop import Halt
from gitbatch.errors import ErrorKind, ExitCode
from gitbatch.view.run_end import EndReport, describe_end

NO_END = "the run ended without a result: it was interrupted or killed"


def describe_watched(event: EndEvent | None, *, has_ended: bool, folder_option: str) -> EndReport:
    """Returns how a run ended.

    Args:
        event: its last event; None if it ended without one.
        has_ended: whether its batch has ended.
        folder_option: see `list_next_steps`.
    """
    if event is None:
        advice = f"resume: gitbatch run{folder_option}   (finished items are in git)"
        return EndReport(ExitCode.FAILED, ErrorKind.INTERRUPTED, NO_END, advice)
    return describe_end(_read_result(event, has_ended=has_ended), folder_option)


def _read_result(event: EndEvent, *, has_ended: bool) -> Result:
    failed = len(event.failures)
    match event:
        case BatchFinished():
            return Result(Ending.COMPLETE, event.succeeded, event.failed, has_ended=True)
        case BatchPaused():
            return Result(Ending.PAUSED, 0, failed, has_ended=False)
        case BatchHalted():
            halt = Halt(event.cause, event.reason, event.advice, event.back_at)
            return Result(Ending.HALTED, 0, failed, has_ended=False, halt=halt)
        case BatchStopped():
            not_run = event.reason if event.open_items else ""
            return Result(Ending.STOPPED, 0, failed, has_ended=has_ended, not_run=not_run)
