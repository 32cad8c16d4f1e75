"""A launcher that has started already: it forks for each program, which takes a fifth of what Python's start takes.

    orchestrator ── server ── watch ── wrapper ── program ── …

What it is asked comes through its standard input, a socket whose other end `sandbox/server.py` has; so do the answers go.
When nobody is left who could ask, for gitbatch has ended or was killed, it ends all that it has started, and itself. What a
killed watch or wrapper leaves behind becomes its child, and ends too: bubblewrap forks before it asks for a death signal.
"""

import gc
import json
import os
import select
import signal
import socket
from contextlib import suppress
from functools import partial
from typing import IO, NoReturn

from gitbatch.sandbox.launcher import CANNOT_RUN, REQUEST
from gitbatch.sandbox.launcher.kernel import PR_SET_CHILD_SUBREAPER, prctl
from gitbatch.sandbox.launcher.main import run_launcher
from gitbatch.sandbox.launcher.process import (
    describe_error,
    end_children,
    fork_process,
    list_children,
    print_error,
)

_DESCRIPTORS = 4


def serve_requests() -> NoReturn:
    """Fork for each request, and tell of each program that it has started, and later how it ended."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    asked = socket.socket(fileno=os.dup(0))
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGCHLD,))  # who started gitbatch may have blocked it
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    gc.disable()
    gc.freeze()  # what a collection would touch, each child would have to copy
    waiting = select.poll()
    for descriptor in (asked.fileno(), wake):
        waiting.register(descriptor, select.POLLIN)
    running: set[int] = set()
    while True:
        ready = [descriptor for descriptor, _ in waiting.poll()]
        if wake in ready:
            os.read(wake, 4096)
            _report_ended(asked, running)
        if asked.fileno() in ready:
            message, descriptors, _, _ = socket.recv_fds(asked, len(REQUEST), _DESCRIPTORS)
            if message != REQUEST:
                break
            _start_program(asked, running, descriptors)
    end_children()
    os._exit(0)


def _send_answer(asked: socket.socket, answer: bytes) -> None:
    with suppress(BrokenPipeError):  # nobody is left: that is seen when the next request is waited for
        asked.send(answer)


def _report_ended(asked: socket.socket, running: set[int]) -> None:
    is_something_left = False
    with suppress(ChildProcessError):
        while True:
            child, status = os.waitpid(-1, os.WNOHANG)
            if not child:
                break
            is_something_left |= os.WIFSIGNALED(status) or child not in running
            if child in running:
                running.remove(child)
                _send_answer(asked, b"ended %d %d" % (child, os.waitstatus_to_exitcode(status)))
    if is_something_left:
        for child in set(list_children(os.getpid())) - running:
            os.kill(child, signal.SIGKILL)


def _start_program(asked: socket.socket, running: set[int], descriptors: list[int]) -> None:
    try:
        child = _fork_child(descriptors)
    except OSError as error:
        _send_answer(asked, b"failed %d" % (error.errno or 0))
    else:
        running.add(child)
        _send_answer(asked, b"started %d" % child)
    for descriptor in descriptors:
        os.close(descriptor)


def _fork_child(descriptors: list[int]) -> int:
    """Start what a request asks for; returns its process when that leads its own group, and can be ended with it."""
    leads, led = os.pipe()
    with os.fdopen(leads, "rb") as reading:
        with os.fdopen(led, "wb") as writing:
            child = fork_process(partial(_run_request, writing, descriptors), on_our_death=signal.SIGKILL)
        reading.read()
    return child


def _run_request(writing: IO[bytes], descriptors: list[int]) -> NoReturn:
    """Do in a new process what a launcher's command line would make it do."""
    writing.close()
    signal.set_wakeup_fd(-1)
    request, *streams = descriptors
    for number, descriptor in enumerate(streams):
        os.dup2(descriptor, number)
    with os.fdopen(request, "rb") as file:
        arguments, environment, directory = json.load(file)
    try:
        os.chdir(_decode_name(directory))
        os.environb.clear()
        os.environb.update({_decode_name(name): _decode_name(value) for name, value in environment.items()})
        code = run_launcher([os.fsdecode(_decode_name(argument)) for argument in arguments])
    except OSError as error:
        print_error(describe_error(error))
        code = CANNOT_RUN
    except ValueError as error:  # a zero byte
        print_error(f"the sandbox: {error}")
        code = CANNOT_RUN
    os._exit(code)


def _decode_name(text: str) -> bytes:
    """The bytes of a name: JSON has a character for each, so that no encoding of names matters."""
    return text.encode("latin-1")
