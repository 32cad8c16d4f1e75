"""Ports of this machine."""

import random
import socket
from contextlib import suppress


def find_port() -> int:
    """A port that nothing listens at, and that the system gives to none who asks for any."""
    for port in random.sample(range(10_000, 32_000), 100):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")
