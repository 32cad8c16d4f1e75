"""The command of a worker: passes bytes between its standard streams and a worker in a home, as ssh does.

`python reach.py SOCKET HOME`; only this is killed with its run, and the worker sees the end of the connection. `fault.json`
in the home harms the next worker there, once: `cut` ends the connection after so many bytes in one direction, `kill` and
`clock` are for `machines.py`.
"""

import json
import os
import select
import socket
import sys
from pathlib import Path
from typing import Any


def reach(path: str, home: str) -> None:
    """Pass bytes between standard input and output and a worker in a home."""
    fault = take_fault(Path(home, "fault.json"))
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    asked = json.loads(Path(home, "worker.json").read_bytes())
    connection.sendall(
        json.dumps({**asked, "kill": fault.get("kill"), "clock": fault.get("clock")}).encode() + b"\n"
    )
    way, left = fault.get("cut") or ("", 0)
    there = connection.fileno()
    while True:
        for source in select.select([0, there], [], [])[0]:
            data = os.read(source, 65536)
            is_cut = way == ("to" if source == 0 else "from")
            if is_cut:
                data, left = data[:left], left - len(data)
            write_all(1 if source == there else there, data)
            if not data or (is_cut and left <= 0):
                os._exit(1)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all bytes."""
    while data:
        data = data[os.write(descriptor, data) :]


def take_fault(path: Path) -> dict[str, Any]:
    """Read what a worker is to suffer, and remove it."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return {}
    path.unlink()
    found: dict[str, Any] = json.loads(text)
    return found


if __name__ == "__main__":
    reach(*sys.argv[1:])
