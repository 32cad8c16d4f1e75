"""The process that gitbatch starts and whose exit code it sees. It forwards signals, and limits the bytes written.

Its child, the wrapper (bubblewrap, or our keeper, which with an overlay leads a namespace of processes), is not in its process group. If that group is killed, the death signal
ends the wrapper too, and the wrapper everything else. The wrapper's first child leads the program's process group.
"""

import os
import signal
import time
from collections.abc import Callable

from gitbatch.sandbox.launcher import process
from gitbatch.sandbox.launcher.kernel import PR_SET_CHILD_SUBREAPER, PR_SET_PDEATHSIG, prctl
from gitbatch.sandbox.launcher.limits import WrittenBytes

_PERIOD = 1.0
_SHARE = 50
"""Counting takes at most 1/50 of the time."""
_TOO_MUCH = 128 + signal.SIGXFSZ


def watch_wrapper(
    start: Callable[[], int],
    written: WrittenBytes,
    on_parent_death: signal.Signals,
) -> int:
    """Runs a wrapper until it ends; returns its exit code.

    Args:
        start: starts the wrapper and returns its process id. It ends with the exit code of its program; SIGTERM ends it and
            all its processes.
        written: the bytes that the program has written.
        on_parent_death: SIGKILL, or SIGTERM for a wrapper without a death signal, which is ended here then.
    """
    parent = os.getppid()
    prctl(PR_SET_PDEATHSIG, on_parent_death)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    process.block_signals()
    child = start()
    pause, is_stopped = _PERIOD, False
    while True:
        came = process.next_signal(pause)
        if came == signal.SIGCHLD:
            ended = process.reap_children()
            if child in ended:
                process.end_children()  # of a wrapper that was killed before it did
                return _TOO_MUCH if is_stopped else ended[child]
        elif came and os.getppid() != parent:
            process.end_children()
            return 128 + signal.SIGKILL
        elif came:
            _forward_signal(came, child)
        else:
            began = time.monotonic()
            if not is_stopped and written.is_exceeded():
                is_stopped = True
                process.print_error("the program wrote more than max-scratch-bytes allows, and was stopped")
                os.kill(child, signal.SIGKILL)  # a SIGTERM is lost while another one, of the program, waits
            pause = max(_PERIOD, _SHARE * (time.monotonic() - began))


def _forward_signal(number: int, wrapper: int) -> None:
    """Sends a signal to the program's process group; if it has none yet, SIGTERM to the wrapper."""
    for leader in process.list_children(wrapper):
        try:
            os.killpg(leader, number)
        except ProcessLookupError:
            break  # it does not lead its group yet: the program has not started
        return
    os.kill(wrapper, signal.SIGTERM)
