"""The process that gitbatch started and whose exit code it sees. It hands on signals, and watches the disk.

Its child, the wrapper (bubblewrap, or our keeper), is not in its process group: whoever kills that group ends the
wrapper too, by the death signal, and the wrapper everything else. The wrapper's first child leads the program's.
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
"""Looking takes at most one part in so many of our time."""
_TOO_MUCH = 128 + signal.SIGXFSZ


def watch_wrapper(wrapper: Callable[[], None], written: WrittenBytes, on_our_death: signal.Signals) -> int:
    """Run a wrapper to its end.

    Args:
        wrapper: ends with the exit code of its program; SIGTERM ends it and all that it started.
        written: what the program has written.
        on_our_death: the signal that the wrapper gets if we are killed.
    """
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    process.block_signals()
    child = process.fork_process(wrapper, on_our_death=on_our_death)
    pause, over = _PERIOD, False
    while True:
        came = process.next_signal(pause)
        if came == signal.SIGCHLD:
            ended = process.reap_children()
            if child in ended:
                process.end_children()  # of a wrapper that could not do it
                return _TOO_MUCH if over else ended[child]
        elif came:
            _forward_signal(came, child)
        else:
            began = time.monotonic()
            if not over and written.is_exceeded():
                over = True
                process.print_error("the program has written more than it may; it is ended")
                os.kill(child, signal.SIGTERM)
            pause = max(_PERIOD, _SHARE * (time.monotonic() - began))


def _forward_signal(number: int, wrapper: int) -> None:
    """Send a signal to the program, and to all that are in its process group."""
    for leader in process.list_children(wrapper):
        try:
            os.killpg(leader, number)
        except ProcessLookupError:
            break  # it is about to become the leader: nothing of the program runs yet
        return
    os.kill(wrapper, signal.SIGTERM)
