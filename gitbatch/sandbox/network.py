"""Whether a sandbox can give a program the network `api`: it needs a network namespace, and is found out by making one."""

import os
import socket
import tempfile
from contextlib import closing, suppress
from functools import cache
from pathlib import Path

from gitbatch.sandbox.command_line import launcher_arguments
from gitbatch.sandbox.model import Confinement, Network, Sandbox, SandboxKind
from gitbatch.sandbox.selection import select_sandbox

_PROGRAM = ("/bin/sh", "-c", ":")
_TIMEOUT = 20.0


def find_network_problem(sandbox: Sandbox) -> str:
    """Returns why a program in a sandbox cannot have the network `api`; empty if it can. Cached for each kind."""
    if sandbox.kind is SandboxKind.NONE:
        return "no sandbox"
    if sandbox.kind is SandboxKind.SEATBELT:  # it lets one port of this machine through
        return ""
    return "" if _can_lend_listener(sandbox.kind) else "no network namespace here"


@cache
def _can_lend_listener(kind: SandboxKind) -> bool:
    """Starts a program as the programs of agents are started, and returns whether its listener comes."""
    from gitbatch.sandbox.server import LauncherServer  # noqa: PLC0415 - most runs have no need of it here

    sandbox, descriptors = select_sandbox(kind), list[int]()
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        nowhere = folder / "home"
        confinement = Confinement(folder, folder, (), nowhere, network=Network.API)
        asked = launcher_arguments(sandbox.wrap_command(_PROGRAM, confinement))
        ours, theirs = socket.socketpair()
        with (
            ours,
            Path(os.devnull).open("r+b") as null,
            suppress(OSError),
            closing(LauncherServer()) as server,
        ):
            with theirs:
                server.start_program(asked or (), {}, folder, [*[null.fileno()] * 3, theirs.fileno()])
            ours.settimeout(_TIMEOUT)
            _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    for descriptor in descriptors:
        socket.close(descriptor)
    return bool(descriptors)
