"""How the event loop learns that a program has ended: from the kernel, by a descriptor for each.

Python 3.12 and later do so by themselves, where the kernel can; Python 3.11 has a thread wait for each program.
"""

import asyncio
import os
import resource
import signal
import sys
from contextlib import suppress

_EACH, _OURS = 6, 128
"""Descriptors of an agent (its pipes, what it is watched by, files that come and go), and of everything else."""


def make_room(agents: int) -> int:
    """Let this process have as many descriptors as so many agents need at once; returns for how many there is room."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = agents * _EACH + _OURS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(OSError, ValueError):  # some systems have a limit of limits
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
            soft = most
    return agents if soft == resource.RLIM_INFINITY else min(agents, max(1, (soft - _OURS) // _EACH))


def watch_by_descriptor() -> None:
    """Let Python 3.11 do as later versions do; call it before there is an event loop."""
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
