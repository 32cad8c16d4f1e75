"""Many programs at once, and no thread for any of them."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from gitbatch.agents.process.children import watch_by_descriptor

CODE = """
import asyncio, threading
from gitbatch.agents.process.children import watch_by_descriptor

async def scene():
    napping = [await asyncio.create_subprocess_exec("sleep", "0.3") for _ in range(20)]
    most = threading.active_count()
    return most, [await nap.wait() for nap in napping]

watch_by_descriptor()
most, codes = asyncio.run(scene())
assert codes == [0] * 20, codes
print(most)
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="this system has no descriptors of processes")
def test_no_thread_waits_for_a_program() -> None:
    said = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True).stdout
    assert int(said) == 1


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python does it by itself")
def test_where_the_kernel_can_not_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(_pid: int) -> int:
        raise PermissionError

    set_up: list[asyncio.AbstractChildWatcher] = []
    monkeypatch.setattr(asyncio, "set_child_watcher", set_up.append)
    watch_by_descriptor()
    assert len(set_up) == hasattr(os, "pidfd_open")
    monkeypatch.setattr(os, "pidfd_open", refused, raising=False)
    watch_by_descriptor()
    assert len(set_up) == hasattr(signal, "pidfd_send_signal")


def test_there_is_room_for_many_agents() -> None:
    code = """
import resource
from gitbatch.agents.process.children import make_room
_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (140, hard))
for agents in (2, 40, 10**9):
    assert make_room(agents) == agents or agents > 40
    print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
print(hard)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    few, some, most, hard = map(int, said.split())
    assert (few, some) == (160, 768)
    assert most == hard


def test_where_there_is_no_room_fewer_run_at_a_time() -> None:
    code = """
import resource
from gitbatch.agents.process.children import make_room
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 288))
print(make_room(60), make_room(5))
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
print(make_room(60))
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["10", "5", "1"]
