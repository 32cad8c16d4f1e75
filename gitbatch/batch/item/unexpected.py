"""Handling an internal error while one item runs, in its agent or in our code: the attempt fails, the others continue.

An agent can raise anything: `SystemExit`, `GeneratorExit`, a `BaseException` of its own, or `CancelledError` when a task
of its own was cancelled. A cancellation of the run differs from that in `Task.cancelling`, which counts the calls of
`Task.cancel` on the item's own task.

An error that concerns every item is not the item's: expected errors (a lock, a repository that was tampered with, a
failed git command) and a disk that cannot be written end the run.
"""

import asyncio
from traceback import TracebackException

from msgspec.structs import replace

from gitbatch.agents.secrets import Secrets
from gitbatch.batch.model import FailedAttempt
from gitbatch.batch.workplace.protocol import NotBegunError
from gitbatch.crash import write_traceback
from gitbatch.errors import GitbatchError
from gitbatch.fs.disk import is_of_disk
from gitbatch.limits.causes import Cause
from gitbatch.text import clean_text


def is_cancelled() -> bool:
    """Returns whether the current task was asked to end."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def find_run_error(error: BaseException) -> BaseException | None:
    """Returns the error, or one of several, that is more than a failed attempt: it ends the run, or nothing has begun.

    None: it is the item's alone.
    """
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(find_run_error, error.exceptions)), None)
    if isinstance(error, asyncio.CancelledError):
        return error if is_cancelled() else None
    is_disk = isinstance(error, OSError) and is_of_disk(error)
    return error if is_disk or isinstance(error, GitbatchError | KeyboardInterrupt | NotBegunError) else None


def fail_attempt(tried: FailedAttempt, agent: str, error: BaseException, secrets: Secrets) -> FailedAttempt:
    """Returns the attempt as it failed by an internal error, whose traceback is in a log file.

    Args:
        tried: what is known of the attempt.
        agent: the name of its agent.
        error: what was raised.
        secrets: values that may not be stored.
    """
    said = str(TracebackException(type(error), error, None))  # `str(error)` may raise
    what = f"{type(error).__name__}: {said}" if said else type(error).__name__
    try:
        where = f"the traceback is in {write_traceback(error, secrets.mask_text)}"
    except OSError as problem:
        where = f"the traceback cannot be written: {problem}"
    return replace(
        tried,
        cause=Cause.FAILED,
        reason=clean_text(secrets.mask_text(f"internal error in agent {agent}: {what}")),
        details=(clean_text(where),),
    )
