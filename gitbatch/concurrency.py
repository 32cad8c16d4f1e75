"""The one thread that git work of a run happens on.

Everything that touches the repository is done one at a time by construction, and the event loop stays free
for the agents while git works.
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
    """Do what must not be left half done: a cancellation meanwhile is put off until the caller awaits again.

    Raises:
        CancelledError: it came twice, or the work itself was cancelled.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        caller = asyncio.current_task()
        if caller and not task.cancelled():
            caller.cancel()
        return task.result()


class GitThread(Struct, frozen=True):
    """Awaitable calls, one after the other, in the order in which they were made."""

    _executor: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "git"))
    _refusing: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do a call on the thread. A call that has begun is finished even when its caller is cancelled."""
        if self._refusing.is_set():
            raise asyncio.CancelledError
        future = self._executor.submit(function, *args, **kwargs)
        wrapped = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(wrapped)
        except asyncio.CancelledError:
            if not future.cancel():  # it has begun: whoever cleans up must find it finished
                await asyncio.wait([wrapped])
                wrapped.exception()  # the cancellation is what counts
            raise

    def refuse(self) -> None:
        """Begin nothing more: every further call is cancelled."""
        self._refusing.set()

    def close(self) -> None:
        """Wait for what has begun."""
        self._executor.shutdown(wait=True)
