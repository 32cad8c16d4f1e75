"""Signals that end a command which is not a run, and leaves something to clean up: they end it as Ctrl-C does.

Such are programs that it has started, and a terminal that it has changed.
"""

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from gitbatch.errors import ExitCode

_CODES = {signal.SIGTERM: ExitCode.TERMINATED, signal.SIGHUP: ExitCode.HUNG_UP}


def is_kept_by_nohup(number: signal.Signals) -> bool:
    """Returns whether this process was started to outlive its terminal, and a signal only says that this was closed."""
    return number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Ends the block with its cleanup, and then the process, when a signal arrives. Ctrl-C does that by itself."""
    before = {number: signal.signal(number, _end_command) for number in _CODES}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_command(number: int, _frame: object) -> None:
    for other in _CODES:
        signal.signal(other, signal.SIG_IGN)  # the cleanup is not interrupted
    raise SystemExit(_CODES[signal.Signals(number)])


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Ends a block that runs an event loop with its cleanup, and then the process, when a signal arrives.

    The signal does what Ctrl-C does, which cancels the main task of a loop. An error that the signal raises would end
    the step of a task in its middle, and leave what that step was starting.
    """
    received: list[signal.Signals] = []

    def interrupt_block(number: int, frame: FrameType | None) -> None:
        for other in _CODES:
            signal.signal(other, signal.SIG_IGN)  # the cleanup is not interrupted
        received.append(signal.Signals(number))
        interrupt = signal.getsignal(signal.SIGINT)
        if not callable(interrupt):  # a shell lets what it starts behind `&` ignore Ctrl-C
            raise SystemExit(_CODES[received[0]])
        interrupt(signal.SIGINT, frame)

    ours = [number for number in _CODES if not is_kept_by_nohup(number)]
    before = {number: signal.signal(number, interrupt_block) for number in ours}
    try:
        yield
    except (KeyboardInterrupt, asyncio.CancelledError):
        if not received:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        raise SystemExit(_CODES[received[0]])


@contextmanager
def cancelled_by_signals() -> Iterator[None]:
    """Cancels the task, which has changed the terminal, when a signal arrives; then ends the process.

    An error that a signal raises in the middle of drawing would end it before it knows what it has changed.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task  # noqa: S101 - only coroutines use this
    received: list[signal.Signals] = []

    def cancel_task(number: int, _frame: object) -> None:
        received.append(signal.Signals(number))
        if len(received) == 1:  # the cleanup is not interrupted
            loop.call_soon_threadsafe(task.cancel)

    before = {number: signal.signal(number, cancel_task) for number in _CODES}
    try:
        yield
    except asyncio.CancelledError:
        if not received:
            raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if received:
            raise SystemExit(_CODES[received[0]])
