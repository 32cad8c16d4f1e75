"""The wrapper of a program under Landlock: whatever that leaves behind ends with it.

Every process whose parent dies becomes a child of the keeper, which kills its children until there are none. They
can't get away: the program may signal neither us nor (from ABI 6 on) anything else of the user.
"""

import os
import signal
from collections.abc import Callable

from gitbatch.sandbox.launcher import process
from gitbatch.sandbox.launcher.kernel import PR_SET_CHILD_SUBREAPER, prctl


def run_contained(program: Callable[[], None]) -> int:
    """Run a program to its end, or until SIGTERM; returns its exit code when nothing of it is left."""
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
    """Keep the kernel's entry for a process in /proc as it is: the program's rule for it holds for no new one."""
    return os.open(f"/proc/{child}", os.O_PATH | os.O_CLOEXEC)
