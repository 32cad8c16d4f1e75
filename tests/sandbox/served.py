"""Start what a launcher's command line says by a server, as the orchestrator does, and end as that ends.

Its command line: the folder of the package, then the launcher's.
"""

import os
import sys
from pathlib import Path

sys.path.append(sys.argv[1])

from gitbatch.sandbox.launch import arguments
from gitbatch.sandbox.server import LauncherEventKind, Server

STREAMS = (0, 1, 2)

asked = arguments([sys.executable, *sys.argv[3:]])
assert asked
server = Server()
given = os.fsdecode(Path("/proc/self/environ").read_bytes()).split("\0")  # before Python added to it
server.ask(asked, dict(pair.split("=", 1) for pair in given if pair), Path.cwd(), STREAMS)
started, ended = server.hear(), server.hear()
assert started
assert ended
assert (started.word, ended.word, started.number) == (
    LauncherEventKind.STARTED,
    LauncherEventKind.ENDED,
    ended.number,
)
server.close()
if ended.status < 0:
    os.kill(os.getpid(), -ended.status)
sys.exit(ended.status)
