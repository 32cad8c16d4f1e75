"""The end of a run: its exit code, why it is not 0, and how to resume."""

from msgspec import Struct

from gitbatch.batch.ending import Ending, Result
from gitbatch.batch.events import CHANGED_CONFIG
from gitbatch.batch.model import PHASE_COMPLETE
from gitbatch.errors import ErrorKind, ExitCode
from gitbatch.limits.causes import Cause
from gitbatch.text import format_count
from gitbatch.view.ending import list_next_steps

_HALTS = {
    Cause.BUSY: ExitCode.TRY_AGAIN,
    Cause.LATER: ExitCode.TRY_AGAIN,
    Cause.UNAVAILABLE: ExitCode.TRY_AGAIN,
    Cause.NO_WORKER: ExitCode.TRY_AGAIN,
    Cause.BUDGET: ExitCode.PAUSED,
    Cause.PAUSED: ExitCode.PAUSED,
}
"""The exit codes of a run that halts; for every other cause the user must fix something first."""


class EndReport(Struct, frozen=True):
    """How a run ended."""

    code: ExitCode
    kind: ErrorKind | None = None
    """None: every item succeeded."""
    message: str = ""
    advice: str = ""
    lines: tuple[str, ...] = ()
    """For people, on standard error: what the events have not said."""


def describe_end(result: Result, folder_option: str, plan: str = "") -> EndReport:
    """Returns the end of a run. `folder_option`, `plan`: see `list_next_steps`."""
    command = f"gitbatch run{folder_option}"
    resume = f"resume: {command}"
    if result.ending is Ending.PAUSED and result.needs_review:
        message, advice = (
            "paused: items are undecided",
            f"decide: gitbatch review{folder_option}; then {resume}",
        )
        return EndReport(
            ExitCode.PAUSED, ErrorKind.PAUSED, message, advice, (f"gitbatch: {message}. {advice}",)
        )
    if result.ending is Ending.PAUSED:
        return EndReport(
            ExitCode.PAUSED, ErrorKind.PAUSED, "paused", resume, (f"gitbatch: paused. {resume}",)
        )
    if result.ending is Ending.CONFIG_CHANGED:
        advice = f"review the difference; to accept it: {command} --accept-config"
        return EndReport(
            ExitCode.PAUSED,
            ErrorKind.CONFIG_CHANGED,
            CHANGED_CONFIG,
            advice,
            (f"gitbatch: {CHANGED_CONFIG}", advice),
        )
    if result.halt:
        code = _HALTS.get(result.halt.cause, ExitCode.FAILED)
        reason, advice = result.halt.reason, result.halt.advice
        return EndReport(code, ErrorKind.HALTED, reason, advice, (f"gitbatch: {reason}", advice))
    return _describe_ended(result, folder_option, plan)


def _describe_ended(result: Result, folder_option: str, plan: str) -> EndReport:
    """Returns the end of a run whose batch has ended, or that a hard stop has ended."""
    if not result.has_ended:
        return EndReport(ExitCode.FAILED, ErrorKind.STOPPED, "the batch has stopped", "see the last event")
    if result.failed:
        message = f"{format_count(result.failed, 'item')} did not succeed"
        lines = tuple(list_next_steps(result.failures, folder_option, plan))
        return EndReport(ExitCode.FAILED, ErrorKind.ITEMS_FAILED, message, "\n".join(lines), lines)
    if result.not_run:
        return EndReport(ExitCode.FAILED, ErrorKind.STOPPED, result.not_run, PHASE_COMPLETE)
    return EndReport(ExitCode.DONE)


def describe_interruption(code: ExitCode, folder_option: str) -> EndReport:
    """Returns the end of a run that a signal ended."""
    message, advice = "interrupted; every finished item is in git", f"resume: gitbatch run{folder_option}"
    return EndReport(code, ErrorKind.INTERRUPTED, message, advice, (f"gitbatch: {message}. {advice}",))
