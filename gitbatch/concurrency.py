"""Runs the git calls of a run on one thread, and shields calls from cancellation.

All calls that touch the repository run one after the other, and the event loop stays free for the agents meanwhile.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from msgspec import Struct, field

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def shielded(work: Coroutine[None, None, _T]) -> _T:
    """Completes a coroutine even if the caller is cancelled; the cancellation is delivered at the caller's next await.

    Raises:
        CancelledError: the caller was cancelled twice, or the work itself was cancelled.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            repeat_cancellation()
        return task.result()


def find_first_error(several: ExceptionGroup[Exception]) -> Exception:
    """Returns the error that stopped a group of tasks first; the others followed from it."""
    error = several.exceptions[0]
    return find_first_error(error) if isinstance(error, ExceptionGroup) else error


def repeat_cancellation() -> None:
    """Delivers a cancellation of the current task that was caught once more: its next await raises it.

    It stays one: asyncio.timeout, for one, goes by their number.
    """
    task = asyncio.current_task()
    if task:
        task.uncancel()
        task.cancel()


class GitThread(Struct, frozen=True):
    """Makes calls awaitable, and runs them on one thread in the order in which they were made."""

    _executor: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "git"))
    _refusing: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Runs a call on the thread. A call that has begun is completed even if its caller is cancelled."""
        if self._refusing.is_set():
            raise asyncio.CancelledError
        future = self._executor.submit(function, *args, **kwargs)
        wrapped = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(wrapped)
        except asyncio.CancelledError:
            if not future.cancel():  # it has begun: a clean-up must find it completed
                await asyncio.wait([wrapped])
                wrapped.exception()  # the cancellation is raised instead of its error
            raise

    def refuse(self) -> None:
        """Cancels every further call."""
        self._refusing.set()

    def close(self) -> None:
        """Waits for the calls that have begun."""
        self._executor.shutdown(wait=True)
