"""How the event loop learns that a program has ended: by one pidfd for each.

Python 3.12 and later use pidfds by themselves, if the kernel has them; Python 3.11 uses a waiting thread for each.
"""

import asyncio
import os
import resource
import signal
import sys
from contextlib import suppress

_EACH, _OURS = 16, 128
"""Descriptors of an agent (its pipes, what it is watched by, connections of its proxy, files that come and go), and of everything else."""


def make_room(agents: int) -> int:
    """Raises the limit of open files for a number of agents; returns the number of agents that it allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = agents * _EACH + _OURS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):  # some systems limit this limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    return agents if soft == resource.RLIM_INFINITY else min(agents, max(1, (soft - _OURS) // _EACH))


def watch_by_descriptor() -> None:
    """Makes Python 3.11 use pidfds as later versions do; must be called before an event loop is created."""
    if sys.version_info >= (3, 12) or not hasattr(os, "pidfd_open"):
        return
    try:
        own = os.pidfd_open(os.getpid())
    except OSError:  # an old kernel, or a sandbox around us that forbids it
        return
    try:
        signal.pidfd_send_signal(own, 0)
    except OSError:
        return
    finally:
        os.close(own)
    asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
