"""Stopping a batch at a clean point: no further item starts, and the items that run are finished.

The code that finds a reason trips the switch; every step checks it before it starts something.
"""

import asyncio
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import TypeVar

from msgspec import Struct, field

from gitbatch.agents.process.interruption import AttemptInterruptedError
from gitbatch.agents.protocol import Failure
from gitbatch.checks.verdict import CheckResult
from gitbatch.fs.disk import DiskError
from gitbatch.fs.room import disk_error_at
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import FREE, format_dollars
from gitbatch.plan.model import ItemKey
from gitbatch.text import CleanText, clean_text, format_count, list_names

MORE = "raise the limit: gitbatch run --max-cost USD"
NO_WORKER_ADVICE = "start a worker that [executor] names, then resume: gitbatch run (finished items are kept)"

_STOPPED = clean_text("stopped by the user")
_T = TypeVar("_T")
_NEVER = 366 * 24 * 3600.0
"""Seconds; a later date is of no use to a reader, and may be out of the range of a clock."""


class Halt(Struct, frozen=True):
    """The reason why a batch halts, and how to resume it."""

    cause: Cause
    reason: CleanText
    advice: str
    back_at: float | None = None
    """Seconds since the epoch: when to resume, where the server gave a time."""


class StopSwitch(Struct):
    """A switch that stops a batch. It is tripped once: the first reason is kept."""

    halt: Halt | None = None
    _tripped: asyncio.Event = field(default_factory=asyncio.Event)

    def trip(self, halt: Halt) -> None:
        """Keeps further items from starting."""
        if self.halt is None:
            self.halt = halt
            self._tripped.set()

    def trip_at_disk_error(self, error: Exception, *folders: Path) -> bool:
        """Stops the batch if a disk at one of the folders has failed; returns false if the error is another one."""
        failed = disk_error_at(error, *folders)
        if failed is not None:
            self.trip(disk_failed(failed))
        return failed is not None

    async def wait_unless_stopped(self, waiting: Awaitable[float]) -> float:
        """Waits for something, but not after the switch was tripped. Returns the seconds that the wait took."""
        began = time.monotonic()
        both = [asyncio.ensure_future(waiting), asyncio.ensure_future(self._tripped.wait())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
        return time.monotonic() - began


class RunningAgents(Struct):
    """The agents that work on items at this moment, and the checks of outputs, each of which can be stopped alone.

    Belongs to one event loop.
    """

    _tasks: dict[ItemKey, asyncio.Task[object]] = field(default_factory=dict)
    _stopped: set[ItemKey] = field(default_factory=set)
    keeps_lock: bool = False
    """Whether early items run, or may start, while a person is asked: then the lock is kept."""
    lets_early_start: bool = True
    """Whether early items may start that wait for a slot of another machine."""
    _failed: set[ItemKey] = field(default_factory=set)
    """The items whose agents have failed, and of which it is not decided yet what follows: that may concern all items."""
    _decided: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def has_undecided(self) -> bool:
        """Whether the failure of an agent may still halt the batch, or make all items wait."""
        return bool(self._failed)

    def note_failure(self, key: ItemKey) -> None:
        """Notes that an agent has failed: until it is decided what follows, no further one starts."""
        self._failed.add(key)

    def note_decision(self, key: ItemKey) -> None:
        """Notes that it is decided what follows the failure of an item's agent, if it has failed."""
        self._failed.discard(key)
        self._decided.set()

    async def wait_for_decisions(self) -> None:
        """Waits until it is decided what follows each failure."""
        while self._failed:
            self._decided.clear()
            await self._decided.wait()

    def stop_item(self, key: ItemKey) -> bool:
        """Ends the agent of an item, or its checks, as a signal would. Returns false if none runs, or it is ending already."""
        task = self._tasks.get(key)
        if task is None or key in self._stopped:
            return False
        self._stopped.add(key)
        return task.cancel()

    async def run_stoppable(self, key: ItemKey, work: Awaitable[_T]) -> _T | Failure:
        """Returns the result of an agent or of checks; a failure with what was used if the item was stopped meanwhile."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._tasks[key] = task
        try:
            answer = await work
            if key in self._stopped:
                await _take_held_stop(task)
        except asyncio.CancelledError as error:
            if key not in self._stopped or task.cancelling() > 1:  # the run was cancelled (as well)
                raise
            usage = error.usage if isinstance(error, AttemptInterruptedError) else FREE
            return Failure(_STOPPED, cause=Cause.STOPPED, usage=usage)
        else:
            return answer
        finally:
            del self._tasks[key]
            if key in self._stopped:
                self._stopped.remove(key)
                task.uncancel()


async def _take_held_stop(task: "asyncio.Task[object]") -> None:
    """Takes the stop that the last step of a task has held back: its answer is there already."""
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        if task.cancelling() > 1:
            raise


def pause_by_user() -> Halt:
    """Returns the halt that the user asked for while items ran."""
    reason = "paused on request; every item that ran has ended"
    return Halt(Cause.PAUSED, clean_text(reason), "resume: gitbatch run")


def come_back_later(reason: CleanText, now: float, seconds: float | None) -> Halt:
    """Returns the halt for a server that demands a longer wait than a batch makes."""
    if seconds is None:
        when, back_at = "the server gives no time to retry at", None
    elif seconds > _NEVER:
        when, back_at = "the server asks to retry in more than a year", None
    else:
        back_at = now + seconds
        clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(back_at))
        when = f"retry at {clock} (in {_format_span(seconds)})"
    advice = "resume then: gitbatch run; or let it wait until then: gitbatch run --wait"
    return Halt(Cause.LATER, clean_text(f"{reason}: {when}"), advice, back_at)


def _format_span(seconds: float) -> str:
    """Returns a time for people: 45 s, 12 min, 3 h 05 min."""
    minutes = round(seconds / 60)
    if seconds < 100:
        return f"{seconds:.0f} s"
    if minutes >= 48 * 60:
        return f"{round(minutes / 60 / 24)} days"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def out_of_budget(budget: Budget) -> Halt:
    """Returns the halt for a batch whose limit is spent, or reserved by the items that run."""
    spent, cost, tokens = budget.spent, budget.max_cost, budget.max_tokens
    if tokens is not None and budget.known_usage.total_tokens >= tokens:
        said, option = f"{budget.known_usage.total_tokens:,} of {tokens:,} tokens are used", "--max-tokens N"
    else:
        said, option = (
            f"{format_dollars(spent.usage.cost or 0)} of {format_dollars(cost or 0)} are spent",
            "--max-cost USD",
        )
        if spent.unknown:
            said += f", and the cost of {format_count(spent.unknown, 'attempt')} is unknown"
        if not budget.is_reached:
            said += "; the rest is not enough for another item"
    return Halt(Cause.BUDGET, clean_text(said), f"raise the limit: gitbatch run {option}")


def cost_unknown(agent: str, item: str) -> Halt:
    """Returns the halt for a cost limit that cannot be held: a cost is unknown, and no known one to estimate it by."""
    said = f"agent {agent} did not report what {item} cost, and no known cost gives an estimate"
    return Halt(Cause.BUDGET, clean_text(said), "let the agent report its cost, or run without a cost limit")


def disk_failed(error: DiskError) -> Halt:
    """Returns the halt for a disk on which nothing can be stored until the user has fixed it."""
    return Halt(Cause.DISK, clean_text(error.message), error.advice)


def check_unavailable(item: str, results: tuple[CheckResult, ...]) -> Halt:
    """Returns the halt for checks that gave no verdict: neither the item nor its agent is to blame."""
    names, first = list_names(tuple(result.name for result in results)), results[0]
    said = f"{item}: check {names} gave no verdict: {first.reason}"
    advice = "fix the check, or what it waits for, then resume: gitbatch run (the output is kept, and only checked again)"
    return Halt(Cause.UNAVAILABLE, clean_text(said), advice)


def cannot_work(item: str, reason: CleanText) -> Halt:
    """Returns the halt for an agent that cannot succeed at any item until the user has fixed it."""
    return Halt(
        Cause.FATAL,
        clean_text(f"{item}: {reason}"),
        "fix the agent in gitbatch.toml (API key, credit, model or program), then resume: gitbatch run "
        "(commit a changed gitbatch.toml and add --accept-config)",
    )
