"""The one thread that git work of a run happens on.

Everything that touches the repository is done one at a time by construction, and the event loop stays free
for the agents while git works.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class GitThread:
    """Awaitable calls, one after the other, in the order in which they were made."""

    _executor: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "git"))

    async def __call__(self, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Do a call on the thread. A call that has begun is finished even when its caller is cancelled."""
        future = self._executor.submit(function, *args, **kwargs)
        wrapped = asyncio.wrap_future(future)
        try:
            return await asyncio.shield(wrapped)
        except asyncio.CancelledError:
            if not future.cancel():  # it has begun: whoever cleans up must find it finished
                await asyncio.wait([wrapped])
                wrapped.exception()  # the cancellation is what counts
            raise

    def close(self) -> None:
        """Wait for what has begun."""
        self._executor.shutdown(wait=True)
