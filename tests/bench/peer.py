"""When Claude Code asks its model for the first time, with and without a worktree: `python peer.py ROOT PROGRAM ROUNDS`.

The model is a server on loopback. Prints one JSON object: seconds from the start of the program, for each round.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from gitbatch.agents.anthropic.scripted.server import KEY, ScriptedServer


def main() -> None:
    """Measures both in turn, after one start that is not counted."""
    root, program, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    found: dict[str, list[float]] = {"plain": [], "worktree": []}
    with ScriptedServer() as server:
        _start(server, root, program, ())
        for number in range(rounds):
            name = f"bench-{os.getpid()}-{number}"
            found["worktree"].append(_start(server, root, program, ("--worktree", name)))
            found["plain"].append(_start(server, root, program, ()))
    print(json.dumps(found))


def _start(server: ScriptedServer, root: Path, program: str, options: tuple[str, ...]) -> float:
    """Returns the seconds until the first request."""
    server.reset_state()
    environment = {
        **os.environ,
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_BASE_URL": server.url,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
    began = time.monotonic()
    argv = [program, *options, "-p", "`script: say done`"]
    subprocess.run(
        argv,
        cwd=root,
        env=environment,
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
    )
    return next(seen.at for seen in server.seen if seen.path.startswith("/v1/messages")) - began


if __name__ == "__main__":
    main()
