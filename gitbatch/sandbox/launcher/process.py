"""Starting a process and hearing of its end, with signals as messages: they are blocked and waited for."""

# ruff: noqa: PTH123 - pathlib takes longer to import than the launcher to do its work

import errno
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress

from gitbatch.sandbox.launcher import CANNOT_RUN, NOT_FOUND
from gitbatch.sandbox.launcher.kernel import PR_SET_PDEATHSIG, prctl

_NOT_HERE = (errno.ENOENT, errno.ENOTDIR)
_AWAITED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


def block_signals() -> None:
    """From here on signals wait until they are asked for; `fork_process` keeps that, `execute_program` ends it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)


def next_signal(patience: float | None = None) -> int | None:
    """The signal that comes next; None: none came in so many seconds."""
    if patience is None:
        return signal.sigwait(_AWAITED)
    came = signal.sigtimedwait(_AWAITED, patience)
    return came.si_signo if came else None


def fork_process(run: Callable[[], None], *, on_our_death: signal.Signals) -> int:
    """Start a process in a session of its own that does `run`, and nothing after that; returns its id.

    What `run` raises is reported on standard error, and the process ends with CANNOT_RUN.
    """
    parent = os.getpid()
    child = os.fork()
    if child:
        return child
    try:
        os.setsid()
        prctl(PR_SET_PDEATHSIG, on_our_death)
        if os.getppid() == parent:  # else it died before we could ask for the signal
            run()
    finally:
        if error := sys.exception():
            print_error(describe_error(error))
        os._exit(CANNOT_RUN)


def candidate_paths(program: str) -> list[str]:
    """Returns the paths that a program may be at. As `os.execvp` looks for it, which imports a module to do so."""
    if "/" in program:
        return [program]
    return [f"{folder or '.'}/{program}" for folder in os.environ.get("PATH", os.defpath).split(":")]


def execute_program(argv: list[str]) -> None:
    """Become another program; it finds signals as usual, whatever Python, or who started us, has made of them.

    Opens and imports nothing.
    """
    for number in (*_AWAITED, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _AWAITED)
    problem = errno.ENOENT
    for path in candidate_paths(argv[0]):
        try:
            os.execv(path, argv)  # noqa: S606 - no shell is meant
        except OSError as error:
            if error.errno not in _NOT_HERE:
                problem = error.errno or problem
    print_error(f"{argv[0]}: {os.strerror(problem)}")
    os._exit(NOT_FOUND if problem == errno.ENOENT else CANNOT_RUN)


def reap_children() -> dict[int, int]:
    """The children that have ended, with their exit codes (128 + n: by signal n)."""
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
    """End all children, and theirs, which become ours (`PR_SET_CHILD_SUBREAPER`), until there are none."""
    while True:
        for child in list_children(os.getpid()):
            os.kill(child, signal.SIGKILL)  # ours until we reap it, so it can be no other's id
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return
        reap_children()


def list_children(process: int) -> list[int]:
    """The children of a process that has one thread."""
    try:
        with open(f"/proc/{process}/task/{process}/children", encoding="ascii") as file:
            return [int(number) for number in file.read().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def describe_error(error: BaseException) -> str:
    """Say in one line what was raised, and where: `NAME: what`."""
    if isinstance(error, OSError):
        name = error.filename
        return f"{os.fsdecode(name) if isinstance(name, str | bytes) and name else 'the sandbox'}: {error.strerror}"
    return f"the sandbox: {type(error).__name__}: {error}"


def print_error(message: str) -> None:
    """Say on standard error why a program did not run, or runs no more."""
    print(f"gitbatch: {message}", file=sys.stderr, flush=True)  # noqa: T201 - the launcher's only voice
