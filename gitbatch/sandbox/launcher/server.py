"""A launcher that keeps running: it forks for each program, which takes a fifth of the time that Python needs to start.

    orchestrator ── server ── watch ── wrapper ── program ── …

Requests and answers go through its standard input, a socket whose other end `sandbox/server.py` has. When that is closed,
because gitbatch has ended or was killed, the server ends the programs that it has started, and itself. Processes that a
killed watch or wrapper leaves behind become its children, and are killed: bubblewrap forks before it asks for a death signal.
"""

import gc
import marshal
import os
import select
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import gitbatch.sandbox.launcher.network  # noqa: F401 - for the processes that are forked, which would import it each
from gitbatch.sandbox.launcher import CANNOT_RUN, NAMESPACE_REQUEST, REQUEST
from gitbatch.sandbox.launcher.kernel import CLONE_NEWPID, PR_SET_CHILD_SUBREAPER, prctl, setns
from gitbatch.sandbox.launcher.main import run_launcher
from gitbatch.sandbox.launcher.namespaces import is_proc_mountable, move_next_child
from gitbatch.sandbox.launcher.process import (
    block_signals,
    describe_error,
    end_children,
    fork_process,
    list_children,
    print_error,
    unblock_signals,
)

_DESCRIPTORS = 5
_PATIENCE = 10_000
"""Milliseconds without an event after which the end of a program is reported although something of it is left."""


def serve_requests() -> None:
    """Forks for each request, and reports each program's start, and later its end."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    asked = socket.socket(fileno=os.dup(0))
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD,))  # gitbatch may have inherited it blocked
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    gc.disable()
    gc.freeze()  # a collection would write to pages that parent and child share, and so copy them
    may_be_first = _may_make_namespaces()
    waiting = select.poll()
    for descriptor in (asked.fileno(), wake):
        waiting.register(descriptor, select.POLLIN)
    running: set[int] = set()
    held: list[bytes] = []
    while True:
        ready = [descriptor for descriptor, _ in waiting.poll(_PATIENCE if held else None)]
        if wake in ready:
            os.read(wake, 4096)
            _report_ended(asked, running, held)
        if not ready:  # what is left hangs in the kernel, on a file system that does not answer
            _send_held(asked, held)
        if asked.fileno() in ready:
            message, descriptors = _receive_request(asked)
            if not descriptors:
                break
            _start_program(
                asked, running, descriptors, is_first=may_be_first and message == NAMESPACE_REQUEST
            )
    end_children()
    os._exit(0)


def _may_make_namespaces() -> bool:
    """Returns whether this process may let its children be first processes of namespaces, as far as that is known before."""
    try:
        return os.geteuid() == 0 and is_proc_mountable()
    except OSError:  # without /proc
        return False


def _receive_request(asked: socket.socket) -> tuple[bytes, list[int]]:
    """Returns the message and the descriptors of a request; none if gitbatch has ended."""
    try:
        message, descriptors, _, _ = socket.recv_fds(asked, len(REQUEST), _DESCRIPTORS)
    except ConnectionResetError:  # it had not read an answer: then the end of a connection is an error once
        return b"", []
    return message, descriptors


def _send_answer(asked: socket.socket, answer: bytes) -> None:
    with suppress(ConnectionError):  # gitbatch has ended: the loop sees that at the next request
        asked.send(answer)


def _report_ended(asked: socket.socket, running: set[int], held: list[bytes]) -> None:
    """Reports the ends of programs. That of one whose watch was killed is held back until nothing that it has left is alive."""
    may_have_orphans = bool(held)
    with suppress(ChildProcessError):
        while True:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                break
            is_killed = os.WIFSIGNALED(status)
            may_have_orphans |= is_killed or child not in running
            if child in running:
                running.remove(child)
                held.append(b"ended %d %d" % (child, os.waitstatus_to_exitcode(status)))
                if not is_killed:
                    _send_answer(asked, held.pop())
    if may_have_orphans:
        orphans = set(list_children(os.getpid())) - running
        for child in orphans:
            os.kill(child, signal.SIGKILL)
        if not orphans:
            _send_held(asked, held)


def _send_held(asked: socket.socket, held: list[bytes]) -> None:
    while held:
        _send_answer(asked, held.pop(0))


def _start_program(
    asked: socket.socket, running: set[int], descriptors: list[int], *, is_first: bool
) -> None:
    try:
        child = _fork_child(descriptors, is_first=is_first)
    except OSError as error:
        _send_answer(asked, b"failed %d" % (error.errno or 0))
    else:
        running.add(child)
        _send_answer(asked, b"started %d" % child)
    for descriptor in descriptors:
        os.close(descriptor)


def _fork_child(descriptors: list[int], *, is_first: bool) -> int:
    """Starts the program of a request; returns its process id as soon as it leads its own process group.

    `is_first`: it becomes the first process of a namespace, if the kernel allows that. If not, the launcher makes one.
    """
    leads, led = os.pipe()
    run = partial(_run_request, leads, led, descriptors)
    fork = partial(fork_process, run, on_our_death=signal.SIGKILL)
    try:
        child = (is_first and _fork_first(fork)) or fork()
    except OSError:
        os.close(leads)
        raise
    finally:
        os.close(led)
    os.read(leads, 1)
    os.close(leads)
    return child


def _fork_first(fork: Callable[[], int]) -> int:
    """Forks the first process of a namespace of processes; returns its process id, 0 if the kernel does not allow that.

    That process ignores a signal until it has asked for it: so they are kept for it from its beginning.
    """
    try:
        own = move_next_child()
    except OSError:
        return 0
    block_signals()
    try:
        return fork()
    finally:
        unblock_signals()
        _return_from_namespace(own)


def _return_from_namespace(own: int) -> None:
    try:
        setns(own, CLONE_NEWPID)
    except OSError:  # the next program must not become a neighbour of this one
        os._exit(CANNOT_RUN)
    os.close(own)


def _run_request(reading: int, writing: int, descriptors: list[int]) -> None:
    """Runs the launcher in the new process, with the arguments, environment and folder of a request.

    The channel, if there is one, comes after the standard streams, and becomes CHANNEL.
    """
    os.close(reading)
    os.write(writing, b".")  # an error, if the server died before we asked for a signal at its death
    os.close(writing)
    signal.set_wakeup_fd(-1)
    request, *streams = descriptors
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    directory, arguments, environment = marshal.loads(os.read(request, os.fstat(request).st_size))  # noqa: S302 - ours
    try:
        os.chdir(directory)
        code = run_launcher(arguments, environment, is_served=True)
    except OSError as error:
        print_error(describe_error(error))
        code = CANNOT_RUN
    except ValueError as error:  # a zero byte
        print_error(f"the sandbox: {error}")
        code = CANNOT_RUN
    os._exit(code)
