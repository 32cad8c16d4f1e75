"""The wrapper of a program under Landlock: it ends all processes that the program leaves behind.

Every process whose parent dies becomes a child of the keeper, which kills its children until there are none. They
cannot prevent it: the program may signal neither the keeper nor (since ABI 6) any other process of the user.
"""

import os
import signal
from collections.abc import Callable

from gitbatch.sandbox.launcher import process
from gitbatch.sandbox.launcher.kernel import PR_SET_CHILD_SUBREAPER, prctl


def run_contained(program: Callable[[], None]) -> int:
    """Runs a program until it ends, or until SIGTERM; returns its exit code when none of its processes is left."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    child = process.fork_process(program, on_our_death=signal.SIGKILL)
    shown = _pin_proc_entry(child)
    code = None
    while code is None and process.next_signal() != signal.SIGTERM:
        code = process.reap_children().get(child)
    process.end_children()
    os.close(shown)
    return 128 + signal.SIGKILL if code is None else code


def _pin_proc_entry(child: int) -> int:
    """Opens the /proc entry of a process, so that the kernel keeps it: a Landlock rule does not apply to a new entry."""
    return os.open(f"/proc/{child}", os.O_PATH | os.O_CLOEXEC)
