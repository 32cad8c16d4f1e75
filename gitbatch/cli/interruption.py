"""Signals that end a command which is not a run, and leaves something to clean up: they end it as Ctrl-C does.

Such are programs that it has started, and a terminal that it has changed.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

from gitbatch.errors import ExitCode

_CODES = {signal.SIGTERM: ExitCode.TERMINATED, signal.SIGHUP: ExitCode.HUNG_UP}


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
