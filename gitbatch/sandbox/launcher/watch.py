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


class WriteLimit:
    """Finds out from time to time whether a program has written too much."""

    def __init__(self, written: WrittenBytes) -> None:
        self._written = written
        self._due = time.monotonic() + _PERIOD
        self._is_exceeded = False

    @property
    def seconds_left(self) -> float:
        """Until `must_end` has something to do, at most; when it has said so, a program that does not end is not asked again."""
        return _PERIOD if self._is_exceeded else max(0.0, self._due - time.monotonic())

    def must_end(self) -> bool:
        """Returns, once, whether the program has written too much, and prints that: it has to be killed."""
        began = time.monotonic()
        if self._is_exceeded or began < self._due:
            return False
        self._is_exceeded = self._written.is_exceeded()
        if self._is_exceeded:
            process.print_error("the program wrote more than max-scratch-bytes allows, and was stopped")
        ended = time.monotonic()
        self._due = ended + max(_PERIOD, _SHARE * (ended - began))
        return self._is_exceeded

    def judge_exit(self, code: int) -> int:
        """Returns the exit code to report of a program that has ended with one."""
        return _TOO_MUCH if self._is_exceeded else code


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
    child, limit = start(), WriteLimit(written)
    while True:
        came = process.next_signal(limit.seconds_left)
        if came == signal.SIGCHLD:
            ended = process.reap_children()
            if child in ended:
                process.end_children()  # of a wrapper that was killed before it did
                return limit.judge_exit(ended[child])
        elif came and os.getppid() != parent:
            process.end_children()
            return 128 + signal.SIGKILL
        elif came:
            _forward_signal(came, child)
        if limit.must_end():
            os.kill(child, signal.SIGKILL)  # a SIGTERM is lost while another one, of the program, waits


def _forward_signal(number: int, wrapper: int) -> None:
    """Sends a signal to the program's process group; if it has none yet, SIGTERM to the wrapper."""
    for leader in process.list_children(wrapper):
        try:
            os.killpg(leader, number)
        except ProcessLookupError:
            break  # it does not lead its group yet: the program has not started
        return
    os.kill(wrapper, signal.SIGTERM)
