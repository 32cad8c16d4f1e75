"""The end of a worker's process, whatever Dask leaves in it.

Dask's task that listens to the scheduler closes its worker again when it is cancelled (`Worker.handle_scheduler`). If the worker is
being closed at that moment, it waits for the end of that, which the same cancellation has cut short: the loop is never closed.
"""

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress

PATIENCE = 10.0
"""Seconds in which a process may end by itself."""
_FLUSHING = 1.0
"""Seconds in which its last output is written: it may be to a pipe that is full."""


def end_soon(find_code: Callable[[], int], tell: Callable[[str], None]) -> threading.Timer:
    """Ends this process if it has not ended by itself when its patience is exhausted.

    Call it where no item runs any more, and results are sent or kept. The timer that is returned may be cancelled.

    Args:
        find_code: returns the exit code; called then.
        tell: shows or logs that the process is ended.
    """
    timer = threading.Timer(PATIENCE, _end_process, (find_code, tell))
    timer.daemon = True
    timer.start()
    return timer


def _end_process(find_code: Callable[[], int], tell: Callable[[str], None]) -> None:
    code = find_code()
    try:
        saying = threading.Thread(target=_write_last_output, args=(tell,), daemon=True)
        saying.start()
        saying.join(_FLUSHING)
    finally:  # Python may be ending, and start no thread any more
        os._exit(code)


def _write_last_output(tell: Callable[[str], None]) -> None:
    tell(f"the process has not ended within {PATIENCE:g} s after its items, and is ended")
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
