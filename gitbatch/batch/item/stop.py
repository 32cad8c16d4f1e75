"""Stopping a batch at a clean point: no item starts any more, those that run come to their end.

Whoever finds a reason pulls the brake; everybody else looks before they start something.
"""

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field

from msgspec import Struct

from gitbatch.fs.disk import DiskError
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import format_dollars
from gitbatch.text import CleanText, clean_text

MORE = "go on with more: gitbatch run --max-cost USD"

_NEVER = 366 * 24 * 3600.0
"""Seconds after which a date says nothing, and may be none that a clock can show."""


class Halt(Struct, frozen=True):
    """Why a batch halts, and how it goes on."""

    cause: Cause
    reason: CleanText
    advice: str
    back_at: float | None = None
    """Seconds since the epoch: when it makes sense to come back, where the server said so."""


@dataclass(slots=True)
class StopSwitch:
    """Pulled once; what it was pulled for first holds."""

    halt: Halt | None = None
    _pulled: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def pull(self, halt: Halt) -> None:
        """Let nothing start any more."""
        if self.halt is None:
            self.halt = halt
            self._pulled.set()

    async def unless(self, waiting: Awaitable[float]) -> float:
        """Wait for something, but no longer than until the brake is pulled. Returns the seconds that it took."""
        began = time.monotonic()
        both = [asyncio.ensure_future(waiting), asyncio.ensure_future(self._pulled.wait())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
        return time.monotonic() - began


def come_back_later(reason: CleanText, now: float, seconds: float | None) -> Halt:
    """The server wants us to come back after more time than a batch waits."""
    if seconds is None:
        when, back_at = "it does not say when to come back", None
    elif seconds > _NEVER:
        when, back_at = "it says to come back in more than a year", None
    else:
        back_at = now + seconds
        clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(back_at))
        when = f"come back at {clock} (in {_span(seconds)})"
    advice = "gitbatch run goes on then; gitbatch run --wait waits until then"
    return Halt(Cause.LATER, clean_text(f"{reason}: {when}"), advice, back_at)


def _span(seconds: float) -> str:
    """A time for people: 45 s, 12 min, 3 h 05 min."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes >= 48 * 60:
        return f"{round(minutes / 60 / 24)} days"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def out_of_budget(budget: Budget) -> Halt:
    """What the batch may spend is spent, or set aside."""
    spent, cost, tokens = budget.spent, budget.max_cost, budget.max_tokens
    if tokens is not None and budget.known_usage.total_tokens >= tokens:
        said, option = f"{budget.known_usage.total_tokens:,} of {tokens:,} tokens are used", "--max-tokens N"
    else:
        said, option = (
            f"{format_dollars(spent.usage.cost or 0)} of {format_dollars(cost or 0)} are spent",
            "--max-cost USD",
        )
        if spent.unknown:
            said += f", and {spent.unknown} attempt(s) did not say what they cost"
        if not budget.is_reached:
            said += "; what is left is not enough for another item"
    return Halt(Cause.BUDGET, clean_text(said), f"go on with more: gitbatch run {option}")


def disk_failed(error: DiskError) -> Halt:
    """Nothing can be stored before somebody has seen to the disk."""
    return Halt(Cause.DISK, clean_text(error.message), error.advice)


def cannot_work(item: str, reason: CleanText) -> Halt:
    """No attempt at any item can succeed before somebody mends something."""
    return Halt(
        Cause.FATAL,
        clean_text(f"{item}: {reason}"),
        "fix the agent (API key, credit, model or program), then resume: gitbatch run; "
        "if you changed gitbatch.toml, commit it and add --accept-config",
    )
