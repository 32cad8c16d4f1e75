"""The wrapper of a program: it ends all processes that the program leaves behind.

Every process whose parent dies becomes a child of the keeper, which kills its children until there are none. They
cannot prevent it: under Landlock, the program may signal neither the keeper nor (since ABI 6) any other process of the user.

The keeper of a namespace of processes is its first process. When that ends, however it ends, the kernel kills all the others,
and they are gone before its end is reported.
"""

import os
import signal
from collections.abc import Callable

from gitbatch.sandbox.launcher import process
from gitbatch.sandbox.launcher.kernel import PR_SET_CHILD_SUBREAPER, prctl
from gitbatch.sandbox.launcher.watch import WriteLimit


def run_contained(program: Callable[[], None]) -> int:
    """Runs a program until it ends, or until SIGTERM; returns its exit code when none of its processes is left."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    code = await_program(process.fork_process(program, on_our_death=signal.SIGKILL))
    process.end_children()
    return code


def await_program(child: int) -> int:
    """Waits until a child ends, or for SIGTERM; returns its exit code. The first process of a namespace then ends itself."""
    shown = _pin_proc_entry()
    code = None
    while code is None and not process.is_asked_to_end():
        code = process.reap_children().get(child)
    os.close(shown)
    return 128 + signal.SIGKILL if code is None else code


def keep_namespace(child: int, limit: WriteLimit, *, is_confined: bool) -> int:
    """Waits, as the first process of a namespace, until a child ends; returns the exit code to report. It is the watch too.

    What the child leaves behind, the kernel kills when this process ends.
    """
    shown = _pin_proc_entry() if is_confined else None
    code = None
    while code is None:
        came = process.next_signal(limit.seconds_left)
        if came == signal.SIGCHLD:
            code = process.reap_children().get(child)
        elif came:
            try:
                os.killpg(child, came)
            except ProcessLookupError:  # it does not lead its group yet: the program has not started
                code = 128 + came
        if code is None and limit.must_end():
            os.kill(child, signal.SIGKILL)
    if shown is not None:
        os.close(shown)
    return limit.judge_exit(code)


def _pin_proc_entry() -> int:
    """Opens the /proc entry of the only child, so that the kernel keeps it: a Landlock rule does not apply to a new entry.

    It is a zombie until it is reaped, so the entry exists. In a /proc of another namespace, the child has another id.
    """
    return os.open(f"/proc/{process.list_shown_children()[0]}", os.O_PATH | os.O_CLOEXEC)
