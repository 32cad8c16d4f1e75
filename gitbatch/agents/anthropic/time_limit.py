"""A time limit that can be paused: waiting for a busy server does not count towards the timeout of an item."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def pause_time_limit(limit: asyncio.Timeout) -> AsyncIterator[None]:
    """Stops a time limit while the block runs."""
    loop, deadline = asyncio.get_running_loop(), limit.when()
    began = loop.time()
    if not limit.expired():
        limit.reschedule(None)
    try:
        yield
    finally:
        if deadline is not None and not limit.expired():
            limit.reschedule(deadline + loop.time() - began)
