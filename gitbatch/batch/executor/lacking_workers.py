"""Workers whose machine lacks what an agent needs: its program, its key, a sandbox. Each says so before it begins with a job."""

import math
import time
from collections.abc import Sequence

from gitbatch.batch.executor.messages import Hello
from gitbatch.batch.executor.pool_member import PoolMember
from gitbatch.text import CleanText, clean_text, format_count

_SHOWN = 10
"""The most programs that are named."""


def find_time_left(members: Sequence[PoolMember], purpose: str, until: float) -> float:
    """Returns the seconds for which a worker may still come that has what a job needs; endless: one is there.

    Args:
        members: all workers.
        purpose: of a job.
        until: when it is too late, by the monotonic clock.
    """
    if any(member.can_run(purpose) for member in members):
        return math.inf
    may_come = any(not (member.is_refused or purpose in member.lacks) for member in members)
    return until - time.monotonic() if may_come else 0.0


def describe_lack(members: Sequence[PoolMember], purpose: str) -> CleanText:
    """Returns what the workers that are there lack for a purpose; empty if none lacks anything."""
    lacking = [member for member in members if member.channel and purpose in member.lacks]
    said = "; ".join(f"{member.host}: {member.lacks[purpose]}" for member in lacking)
    return clean_text(f"no worker can run {purpose} ({said})" if said else "")


def describe_worker(hello: Hello) -> str:
    """Returns what a worker says that it has."""
    names = ", ".join(clean_text(name, 30) for name in hello.programs[:_SHOWN])
    agents = (f"agents {names}",) if names else ()
    set_keys = ", ".join(clean_text(name, 40) for name in hello.keys[:_SHOWN])
    keys = (f"keys {set_keys}",) if set_keys else ()
    return ", ".join(
        (format_count(hello.slots, "slot"), f"sandbox {clean_text(hello.sandbox, 50)}", *agents, *keys)
    )
