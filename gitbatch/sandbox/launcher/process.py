"""Starts processes and waits for their ends. Signals are blocked and read one by one."""

# ruff: noqa: PTH116, PTH123 - pathlib takes longer to import than the launcher to do its work

import errno
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress

from gitbatch.sandbox.launcher import CANNOT_RUN, NOT_FOUND
from gitbatch.sandbox.launcher.kernel import PR_SET_PDEATHSIG, change_signal_mask, prctl, signal_mask

_NOT_HERE = (errno.ENOENT, errno.ENOTDIR)
_AWAITED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)

_AWAITED_MASK = signal_mask(_AWAITED)
_DEFAULT_ACTIONS = (*_AWAITED, signal.SIGPIPE, signal.SIGXFSZ)
"""Python ignores the last two, and a program that it starts would inherit that."""
_INHERITED_MASK = signal.pthread_sigmask(signal.SIG_BLOCK, ()) - set(_AWAITED)
"""Other signals that were blocked when this process started, and that its programs inherit so."""


def block_signals() -> None:
    """Blocks signals until `next_signal` reads them; `fork_process` keeps them blocked, `execute_program` unblocks them."""
    change_signal_mask(signal.SIG_BLOCK, _AWAITED_MASK)


def unblock_signals() -> None:
    """Undoes `block_signals`."""
    change_signal_mask(signal.SIG_UNBLOCK, _AWAITED_MASK)


def next_signal(timeout: float) -> int | None:
    """Waits for the next signal; None if none came within the seconds of `timeout`, or one that is not obeyed."""
    came = signal.sigtimedwait(_AWAITED, timeout)
    return came.si_signo if came and _is_obeyed(came) else None


def is_asked_to_end() -> bool:
    """Waits for the next signal; returns whether it is a SIGTERM."""
    came = signal.sigwaitinfo(_AWAITED)
    return came.si_signo == signal.SIGTERM and _is_obeyed(came)


def _is_obeyed(came: signal.struct_siginfo) -> bool:
    """Whether a signal is for us: the first process of a namespace obeys, but for SIGCHLD, those from outside only.

    A program may end all processes of some name, and ours is called `python`. The kernel names a sender outside as 0.
    """
    return came.si_signo == signal.SIGCHLD or os.getpid() != 1 or came.si_pid == 0


def fork_process(run: Callable[[], None], *, on_our_death: signal.Signals) -> int:
    """Starts a process in a session of its own that calls `run` and then ends; returns its id.

    An error of `run` is printed on standard error, and the process ends with CANNOT_RUN.
    """
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        prctl(PR_SET_PDEATHSIG, on_our_death)
        # Else the parent died before the request for the signal. The first process of a namespace has the parent 0.
        if os.getppid() in {parent, 0}:
            run()
    finally:
        try:
            if error := sys.exception():
                print_error(describe_error(error))
        finally:  # whatever fails, as when its reader has ended: this process must not continue as a second server
            os._exit(CANNOT_RUN)


def candidate_paths(program: str, environment: Mapping[str, str]) -> list[str]:
    """Returns the paths at which a program may be, like `os.execvp`, which would import a module for it."""
    if "/" in program:
        return [program]
    folders = environment.get("PATH", os.defpath)
    return [f"{folder or '.'}/{program}" for folder in folders.split(":")]


def execute_program(argv: list[str], environment: Mapping[str, str]) -> None:
    """Replaces this process by a program with some variables. Signals have their default actions, whatever was inherited or set by Python.

    It opens no file and imports nothing.
    """
    for number in _DEFAULT_ACTIONS:
        signal.signal(number, signal.SIG_DFL)
    unblock_signals()
    problem = errno.ENOENT
    for path in candidate_paths(argv[0], environment):
        try:
            os.execve(path, argv, environment)  # noqa: S606 - no shell is meant
        except OSError as error:
            if error.errno not in _NOT_HERE:
                problem = error.errno or problem
    os._exit(_report_unstarted(argv[0], problem))


def spawn_program(argv: list[str], environment: Mapping[str, str]) -> int:
    """Starts a program in a session of its own without a copy of this process, which would take longer; returns its id.

    If it cannot be started, this process ends as in `execute_program`. It has no death signal.
    """
    problem = errno.ENOENT
    for path in filter(_may_be_there, candidate_paths(argv[0], environment)):
        try:
            return os.posix_spawn(
                path, argv, environment, setsid=True, setsigmask=_INHERITED_MASK, setsigdef=_DEFAULT_ACTIONS
            )
        except OSError as error:
            if error.errno not in _NOT_HERE:
                problem = error.errno or problem
    os._exit(_report_unstarted(argv[0], problem))


def _may_be_there(path: str) -> bool:
    """Returns false if nothing is at a path. To spawn what is not there costs a process, for each folder of a long PATH."""
    try:
        os.stat(path)
    except OSError as error:
        return error.errno not in _NOT_HERE
    return True


def _report_unstarted(program: str, problem: int) -> int:
    """Prints why a program cannot be started; returns the exit code that a shell has then."""
    print_error(f"{program}: {os.strerror(problem)}")
    return NOT_FOUND if problem == errno.ENOENT else CANNOT_RUN


def reap_children() -> dict[int, int]:
    """Returns the children that have ended, with their exit codes (128 + n if signal n ended one)."""
    ended: dict[int, int] = {}
    with suppress(ChildProcessError):
        while True:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                break
            code = os.waitstatus_to_exitcode(status)
            ended[child] = code if code >= 0 else 128 - code
    return ended


def end_children() -> None:
    """Kills all children, and their children, which become ours (`PR_SET_CHILD_SUBREAPER`), until there are none."""
    while True:
        for child in list_children(os.getpid()):
            os.kill(child, signal.SIGKILL)  # a child until it is reaped, so the id is not reused
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
        reap_children()


def list_children(process: int) -> list[int]:
    """Returns the children of a process that has one thread."""
    return _read_children(f"{process}/task/{process}")


def list_shown_children() -> list[int]:
    """Returns the children of this process by their names in /proc, which may be that of another namespace."""
    return _read_children("thread-self")


def _read_children(entry: str) -> list[int]:
    try:
        with open(f"/proc/{entry}/children", "rb") as file:
            return [int(number) for number in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def describe_error(error: BaseException) -> str:
    """Returns an error in one line: `FILE: reason`."""
    if isinstance(error, OSError):
        name = error.filename
        return f"{os.fsdecode(name) if isinstance(name, str | bytes) and name else 'the sandbox'}: {error.strerror}"
    return f"the sandbox: {type(error).__name__}: {error}"


def print_error(message: str) -> None:
    """Prints on standard error why a program did not run, or was ended."""
    print(f"gitbatch: {message}", file=sys.stderr, flush=True)  # noqa: T201 - the launcher has no other output
