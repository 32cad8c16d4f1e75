"""Starts a launcher's command line by a launcher server, like the orchestrator, and exits with its code.

Its command line: the folder of the package, then the launcher's. On the listener of a program with the network `api` it
answers each connection with GREETING.
"""

import os
import socket
import sys
import threading
from contextlib import closing
from pathlib import Path

sys.path.append(sys.argv[1])

from gitbatch.sandbox.command_line import launcher_arguments
from gitbatch.sandbox.server import LauncherEventKind, LauncherServer

STREAMS = (0, 1, 2)
GREETING = "from outside"


def greet(channel: socket.socket) -> None:
    """Receives the listener, and accepts connections on it."""
    _, descriptors, _, _ = socket.recv_fds(channel, 1, 1)
    for descriptor in descriptors:
        with socket.socket(fileno=descriptor) as listener:
            while True:
                with closing(listener.accept()[0]) as connection:
                    connection.sendall(GREETING.encode())


asked = launcher_arguments([sys.executable, *sys.argv[3:]])
assert asked
server = LauncherServer()
given = os.fsdecode(Path("/proc/self/environ").read_bytes()).split("\0")  # before Python added to it
ours, theirs = socket.socketpair()
more = (theirs.fileno(),) if asked[list(asked).index("--network") + 1] == "api" else ()
server.start_program(asked, dict(pair.split("=", 1) for pair in given if pair), Path.cwd(), (*STREAMS, *more))
theirs.close()
threading.Thread(target=greet, args=(ours,), daemon=True).start()
started, ended = server.receive_event(), server.receive_event()
assert started
assert ended
assert (started.kind, ended.kind, started.number) == (
    LauncherEventKind.STARTED,
    LauncherEventKind.ENDED,
    ended.number,
)
server.close()
if ended.status < 0:
    os.kill(os.getpid(), -ended.status)
sys.exit(ended.status)
