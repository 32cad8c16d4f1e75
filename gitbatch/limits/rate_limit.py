"""Where the agents of a batch wait when a server is busy: one gate, so that one rate limit makes all of them wait."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

from gitbatch.limits.causes import SERVER_BUSY

_FIRST, _LONGEST = 1.0, 60.0
"""Seconds to wait where the server does not say how long: doubled each time, up to the longest."""
_SPREAD = 0.25
"""How much of a wait is added at random, for each who waits: they must not all come back in the same moment."""


@dataclass(slots=True)
class RateLimit:
    """Open or closed until a time; the same for all. Belongs to one event loop."""

    cap: float = 120.0
    """The most seconds that a server may make us wait; what is longer pauses the batch. `inf`: wait for anything."""
    patience: float = 1800.0
    """The most seconds of waits in a row without any success, before that too pauses the batch."""
    listener: Callable[[float, str], None] = field(default=lambda _, __: None)
    """Called with the seconds to wait and what for, each time that the gate closes or stays closed for longer."""
    _opens: float = field(default=-inf, init=False)
    _in_a_row: int = field(default=0, init=False)
    _closed_since: float | None = field(default=None, init=False)

    @property
    def is_endless(self) -> bool:
        """Whether it waits for anything."""
        return self.cap == inf

    async def passed(self) -> float:
        """Wait until the server may be asked (again). Returns the seconds that it took."""
        loop = asyncio.get_running_loop()
        if self._opens <= (began := loop.time()):
            return 0.0
        while (left := self._opens - loop.time()) > 0:  # noqa: ASYNC110 - it may close again while we wait
            await asyncio.sleep(left * (1 + random.uniform(0, _SPREAD)))  # noqa: S311 - no secret
        return loop.time() - began

    def close(self, retry_after: float | None, why: str = SERVER_BUSY) -> bool:
        """Make everybody wait. Returns false, and does nothing, where that would take longer than a batch waits.

        Args:
            retry_after: the seconds that the server asked for; None: it did not say.
            why: what the wait is for, in words.
        """
        now = asyncio.get_running_loop().time()
        since = now if self._closed_since is None else self._closed_since
        own = min(_FIRST * 2**self._in_a_row, _LONGEST)
        wait = own if retry_after is None else retry_after
        if self._in_a_row and retry_after is not None:  # who says 0 again and again is not asked all the time
            wait = max(wait, min(own, self.cap))
        if wait > self.cap or (self.cap < inf and now - since > self.patience):
            return False
        if now >= self._opens:  # of several that were under way at once, only the first counts
            self._in_a_row = min(self._in_a_row + 1, 10)
        self._closed_since = since
        if now + wait > self._opens:
            self._opens = now + wait
            self.listener(wait, why)
        return True

    @property
    def closed_for(self) -> float:
        """The seconds until it opens, as it is now; 0: it is open."""
        return max(0.0, self._opens - asyncio.get_running_loop().time())

    def succeeded(self) -> None:
        """Note that the server answers."""
        self._in_a_row = 0
        self._closed_since = None
