"""Naps of a scripted server that end when the test says so: how quickly its clients ask changes nothing."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from waiting import wait_until_async

from gitbatch.agents.anthropic.scripted import server as server_module
from gitbatch.agents.anthropic.scripted.server import ScriptedServer


def nap_until(patch: pytest.MonkeyPatch, server: ScriptedServer, condition: Callable[[], object]) -> None:
    """Let each nap last until something is so, but that of the first request, which the others wait for."""

    async def nap(seconds: float) -> None:
        await asyncio.sleep(seconds)
        if seconds and len(server.seen) > 1:
            await wait_until_async(condition, "what naps last until")

    patch.setattr(server_module, "asyncio", SimpleNamespace(**{**vars(asyncio), "sleep": nap}))


def nap_until_busy(patch: pytest.MonkeyPatch, server: ScriptedServer, count: int) -> None:
    """Let naps last until the server has had `count` requests at the same time."""
    nap_until(patch, server, lambda: server.most_under_way >= count)


def nap_until_limited(patch: pytest.MonkeyPatch, server: ScriptedServer) -> None:
    """Let naps last until the server has said that it is asked too often."""
    nap_until(patch, server, lambda: any(seen.status == 429 for seen in tuple(server.seen)))
