"""Starts a launcher's command line by a launcher server, like the orchestrator, and exits with its code.

Its command line: the folder of the package, then the launcher's.
"""

import os
import sys
from pathlib import Path

sys.path.append(sys.argv[1])

from gitbatch.sandbox.command_line import launcher_arguments
from gitbatch.sandbox.server import LauncherEventKind, LauncherServer

STREAMS = (0, 1, 2)

asked = launcher_arguments([sys.executable, *sys.argv[3:]])
assert asked
server = LauncherServer()
given = os.fsdecode(Path("/proc/self/environ").read_bytes()).split("\0")  # before Python added to it
server.start_program(asked, dict(pair.split("=", 1) for pair in given if pair), Path.cwd(), STREAMS)
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
