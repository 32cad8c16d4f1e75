"""The network `api`: one listener, on which gitbatch accepts outside, and nothing else."""

import socket
import subprocess
import sys
from contextlib import ExitStack, suppress

import pytest
from sandbox.arena import Arena, Wall, behind

from gitbatch.sandbox.launcher import PORT
from gitbatch.sandbox.model import Network, SandboxKind
from gitbatch.sandbox.network import find_network_problem
from gitbatch.sandbox.seatbelt import Seatbelt
from gitbatch.sandbox.selection import select_sandbox

GREETING = "from outside"
"""The answer of `served.py`."""
confined = behind(Wall.BUBBLEWRAP, Wall.LANDLOCK, Wall.USERS_BUBBLEWRAP, Wall.USERS_LANDLOCK)
CONNECT = """
import os, socket
def is_open(descriptor):
    try:
        return bool(os.fstat(descriptor))
    except OSError:
        return False
def connect(*address):
    try:
        with socket.create_connection(address, timeout=2) as connection:
            return connection.recv(99).decode()
    except OSError as error:
        return type(error).__name__ if error.errno is None else os.strerror(error.errno)
"""


@confined
def test_listener(arena: Arena) -> None:
    code = f"{CONNECT}\nprint(connect('127.0.0.1', {PORT}), connect('localhost', {PORT}))"
    done = arena.python(code, arena.usual._replace(network=Network.API))
    assert (done.stdout.strip(), done.stderr) == (f"{GREETING} {GREETING}", "")


@confined
def test_other_addresses(arena: Arena) -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:  # noqa: S104 - so that it would be reached by any address
        own = {("169.254.169.254", 80), ("192.0.2.1", 443), ("127.0.0.1", server.getsockname()[1])}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking, suppress(OSError):
            asking.connect(("192.0.2.1", 9))
            own.add((asking.getsockname()[0], server.getsockname()[1]))
        code = f"{CONNECT}\nfor address in {sorted(own)}: print(connect(*address))\nprint([n for n in range(3, 99) if is_open(n)])"
        done = arena.python(code, arena.usual._replace(network=Network.API))
    *answers, descriptors = done.stdout.splitlines()
    assert set(answers) <= {"Network is unreachable", "Connection refused"}
    assert len(answers) == len(own)
    assert descriptors == "[]", "it inherits its standard streams and nothing else"


@confined
def test_listener_is_not_on_the_host(arena: Arena) -> None:
    """It has a port that is taken here: by this test, or by another process."""
    with ExitStack() as stack:
        with suppress(OSError):
            stack.enter_context(socket.create_server(("127.0.0.1", PORT), reuse_port=True))
        code = f"{CONNECT}\nprint(connect('127.0.0.1', {PORT}))"
        done = arena.python(code, arena.usual._replace(network=Network.API))
    assert done.stdout.strip() == GREETING


@pytest.mark.parametrize("kind", [SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK])
def test_probe(kind: SandboxKind) -> None:
    assert find_network_problem(select_sandbox(kind)) == ""


def test_no_sandbox_has_none() -> None:
    assert find_network_problem(select_sandbox(SandboxKind.NONE)) == "no sandbox"


def test_sandbox_that_lets_a_port_through_needs_no_namespace() -> None:
    assert not find_network_problem(Seatbelt())


def test_no_namespace_here() -> None:
    """In a user namespace in which no network namespace can be made."""
    code = """
import os
from pathlib import Path
from gitbatch.sandbox.launcher.kernel import CLONE_NEWUSER, unshare
from gitbatch.sandbox.model import SandboxKind
from gitbatch.sandbox.network import find_network_problem
from gitbatch.sandbox.selection import select_sandbox
user, group = os.getuid(), os.getgid()
unshare(CLONE_NEWUSER)
for name, text in {"setgroups": "deny", "gid_map": f"0 {group} 1", "uid_map": f"0 {user} 1"}.items():
    Path(f"/proc/self/{name}").write_text(text)
Path("/proc/sys/user/max_net_namespaces").write_text("0")
print(find_network_problem(select_sandbox(SandboxKind.LANDLOCK)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("no network namespace here\n", "")
