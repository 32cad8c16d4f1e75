"""The wait that all agents of a batch share when a server is busy: one rate limit (429) makes all of them wait."""

import asyncio
import random
from collections.abc import Callable
from math import inf

from msgspec import Struct, field

from gitbatch.limits.causes import WaitReason

_FIRST, _LONGEST = 1.0, 60.0
"""Seconds to wait where the server does not say how long: doubled each time, up to the longest."""
_SPREAD = 0.25
"""The part of a wait that is added at random for each waiting agent, so that they do not all return at once."""


class RateLimit(Struct):
    """Requests are allowed, or not before a time; the same for all agents. Belongs to one event loop."""

    cap: float = 120.0
    """The longest wait in seconds that a server may ask for; a longer one pauses the batch. `inf`: no limit."""
    patience: float = 1800.0
    """The most seconds of waits in a row without any success, before that too pauses the batch."""
    listener: Callable[[float, WaitReason], None] = field(default=lambda _, __: None)
    """Called with the seconds to wait and the reason, each time that a wait starts or becomes longer."""
    _opens: float = -inf
    _in_a_row: int = 0
    _closed_since: float | None = None

    @property
    def is_endless(self) -> bool:
        """Whether waits of any length are accepted."""
        return self.cap == inf

    async def wait(self) -> float:
        """Waits until the server may be asked (again). Returns the seconds that it took."""
        loop = asyncio.get_running_loop()
        if self._opens <= (began := loop.time()):
            return 0.0
        while (left := self._opens - loop.time()) > 0:  # noqa: ASYNC110 - another wait may start meanwhile
            await asyncio.sleep(left * (1 + random.uniform(0, _SPREAD)))  # noqa: S311 - no secret
        return loop.time() - began

    def start_wait(self, retry_after: float | None, reason: WaitReason = WaitReason.SERVER_BUSY) -> bool:
        """Makes all agents wait. Returns false, and does nothing, if that would take longer than a batch waits.

        Args:
            retry_after: the seconds that the server asked for; None: it did not say.
            reason: the reason of the wait.
        """
        now = asyncio.get_running_loop().time()
        since = now if self._closed_since is None else self._closed_since
        own = min(_FIRST * 2**self._in_a_row, _LONGEST)
        wait = own if retry_after is None else retry_after
        if (
            self._in_a_row and retry_after is not None
        ):  # a server that keeps saying 0 is not asked in a tight loop
            wait = max(wait, min(own, self.cap))
        if wait > self.cap or (self.cap < inf and now - since > self.patience):
            return False
        if now >= self._opens:  # of several requests that fail at the same time, only the first counts
            self._in_a_row = min(self._in_a_row + 1, 10)
        self._closed_since = since
        if now + wait > self._opens:
            self._opens = now + wait
            self.listener(wait, reason)
        return True

    @property
    def seconds_left(self) -> float:
        """The seconds until the wait ends, as far as it is known now; 0: requests are allowed."""
        return max(0.0, self._opens - asyncio.get_running_loop().time())

    def note_success(self) -> None:
        """Notes that the server answers: the next wait starts from the shortest one again."""
        self._in_a_row = 0
        self._closed_since = None
