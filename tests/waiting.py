"""The only waits of the tests: for a condition, for turns of a loop, for a moment of a race; and clocks of their own.

The time of a machine that does other things as well shows nothing: what a test asserts is what happened, and the
deadline here only ends a test that would wait for ever.
"""

import asyncio
import selectors
import subprocess
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import pytest

T = TypeVar("T")

DEADLINE = 45.0
"""Seconds that no condition takes, however busy the machine; below the minute that programs of tests work at least."""
_STEP = 0.01


def _require_time(until: float, what: object) -> None:
    if time.monotonic() > until:
        raise AssertionError(f"waited in vain: {what}")


def wait_until(condition: Callable[[], object], what: object, patience: float = DEADLINE) -> None:
    """Wait until something is so; `what`, as it is then, is said if that does not happen."""
    until = time.monotonic() + patience
    while not condition():
        _require_time(until, what)
        time.sleep(_STEP)


async def wait_until_async(condition: Callable[[], object], what: object, patience: float = DEADLINE) -> None:
    """Wait as `wait_until` does, while the loop does its work."""
    until = time.monotonic() + patience
    while not condition():
        _require_time(until, what)
        await asyncio.sleep(_STEP)


async def loop_turns(count: int = 1) -> None:
    """Let the loop run what is ready, so many times."""
    for _ in range(count):
        await asyncio.sleep(0)


def pass_moment(seconds: float) -> None:
    """Let a race go on for a moment before the test interferes; its result must not depend on which moment."""
    time.sleep(seconds)


class _Skipping(selectors.DefaultSelector):
    """Lets no time pass while a loop waits, but counts it: how busy the machine is changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        return super().select(0)


class _SkippingLoop(asyncio.SelectorEventLoop):
    """A loop by such a clock."""

    def __init__(self) -> None:
        self.clock = _Skipping()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


def run_skipping(scene: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop whose clock skips each wait; for what waits for nothing but time."""
    with asyncio.Runner(loop_factory=_SkippingLoop) as runner:
        return runner.run(scene)


def expire_once(patch: pytest.MonkeyPatch, condition: Callable[[], object]) -> None:
    """Let the time of a program that `subprocess` waits for pass once something is so, and not before."""
    communicate = subprocess.Popen.communicate

    def wait_and_communicate(
        process: "subprocess.Popen[Any]",
        given: bytes | str | None = None,
        timeout: float | None = None,
    ) -> tuple[Any, Any]:
        if timeout is not None:
            wait_until(condition, "what the program does in its time")
        return communicate(process, given, timeout)

    patch.setattr(subprocess.Popen, "communicate", wait_and_communicate)


class HeldLimits:
    """The time limits of a number of seconds: they pass when the test says so, and not before."""

    def __init__(self, patch: pytest.MonkeyPatch, seconds: float) -> None:
        self._held: list[asyncio.Timeout] = []
        self._is_over = False
        really = asyncio.timeout

        def hold_limit(delay: float | None) -> asyncio.Timeout:
            if delay != seconds:
                return really(delay)
            self._held.append(really(0 if self._is_over else None))
            return self._held[-1]

        patch.setattr(asyncio, "timeout", hold_limit)

    @property
    def begun(self) -> int:
        """How many have begun."""
        return len(self._held)

    def expire(self, *, later: bool = True) -> None:
        """Let them pass, and also those that begin later: a program may say something before it is waited for."""
        self._is_over = later
        for limit in self._held:
            with suppress(RuntimeError):  # it has ended
                limit.reschedule(asyncio.get_running_loop().time())


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock a test can put forward."""

    def __init__(self) -> None:
        self.ahead = 0.0
        super().__init__()

    def time(self) -> float:
        """Return the time of its clock."""
        return super().time() + self.ahead


def _reference() -> int:
    return sum(len(str(number)) for number in range(100_000))


def effort(act: Callable[[], object]) -> float:
    """Processor time in units of a fixed piece of work that runs before and after it; the best of two.

    A slow or busy machine makes both slower. The unit is about 10 ms on a quick one.
    """
    return min(_measured(act) / min(_measured(_reference), _measured(_reference)) for _ in range(2))


def _measured(act: Callable[[], object]) -> float:
    began = time.process_time()
    act()
    return max(time.process_time() - began, 1e-6)
