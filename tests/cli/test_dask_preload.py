"""The preload that makes a worker for runs of a Dask worker."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Workspace
from waiting import wait_until_async

from gitbatch.batch.executor.carrier import ChannelError
from gitbatch.batch.executor.dask_carrier import StreamChannel
from gitbatch.batch.executor.messages import Alive, FromWorker, Hello
from gitbatch.batch.executor.tls import connect_streams
from gitbatch.batch.worker.worker_server import WorkerServer
from gitbatch.cli.dask_preload import dask_setup, dask_teardown
from gitbatch.errors import UsageError
from gitbatch.project.cluster import parse_address


def make_worker(ip: str = "127.0.0.1", nanny: object = None, limit: int | None = None) -> Any:  # noqa: ANN401 - as Dask's
    """As much of a Dask worker as the preload looks at."""
    return SimpleNamespace(
        ip=ip,
        nanny=nanny,
        memory_manager=SimpleNamespace(memory_limit=limit),
        security=SimpleNamespace(get_listen_args=lambda _: {"ssl_context": None}, tls_worker_key=None),
        state=SimpleNamespace(nthreads=3),
        startup_information={},
        status=SimpleNamespace(name="running"),
    )


def test_worker_announces_where_it_listens(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    worker = make_worker()

    async def scene() -> list[object]:
        await dask_setup(worker)
        address = parse_address(worker.startup_information["gitbatch"](worker))
        assert address
        channel = StreamChannel(*await connect_streams(address, None))
        said = await channel.receive()
        await channel.close(0.0)
        await dask_teardown(worker)
        with pytest.raises(OSError):  # noqa: PT011 - nothing listens any more
            await asyncio.open_connection(address.host, address.port)
        return [*said]

    [hello] = asyncio.run(scene())
    assert isinstance(hello, Hello)
    assert (hello.slots, hello.host) == (3, socket.gethostname())
    assert Path(workspace.environment["HOME"]).exists()


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        (make_worker(nanny="tcp://127.0.0.1:1"), "nanny"),
        (make_worker(limit=2**30), "limit of memory"),
        (make_worker(ip="192.0.2.1"), "not encrypted"),
    ],
)
def test_worker_that_would_lose_agents_or_be_open_to_all_does_not_start(worker: Any, words: str) -> None:  # noqa: ANN401 - as above
    with pytest.raises(UsageError, match=words):
        asyncio.run(dask_setup(worker))
    assert worker.startup_information == {}


def test_first_signal_lets_items_end_and_the_second_ends_them(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The handlers of a `dask worker` would end both with its process."""
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    heard: list[FromWorker] = []
    did: list[str] = []
    codes: list[int] = []
    monkeypatch.setattr(WorkerServer, "end_jobs", lambda _: did.append("end jobs"))
    monkeypatch.setattr("gitbatch.cli.dask_preload.end_soon", lambda find_code, _: codes.append(find_code()))
    worker = make_worker()

    def end_process(*_: object) -> None:
        did.append("end the process")

    async def close(reason: str) -> None:
        did.append(reason)
        await dask_teardown(worker)
        did.append("closed")

    async def listen(channel: StreamChannel) -> None:
        with suppress(ChannelError):
            while True:
                heard.extend(await channel.receive())

    async def scene() -> None:
        await dask_setup(worker)
        address = parse_address(worker.startup_information["gitbatch"](worker))
        assert address
        channel = StreamChannel(*await connect_streams(address, None))
        listening = asyncio.create_task(listen(channel))
        await wait_until_async(lambda: heard, "it greets")
        os.kill(os.getpid(), signal.SIGTERM)
        await wait_until_async(lambda: Alive(takes_jobs=False) in heard, heard)
        await wait_until_async(lambda: "end the process" in did, did)
        os.kill(os.getpid(), signal.SIGINT)
        await wait_until_async(lambda: "end jobs" in did, did)
        await listening
        await channel.close(0.0)

    end_process.__module__ = "distributed._signals"
    worker.close = close
    before = [signal.signal(number, end_process) for number in (signal.SIGTERM, signal.SIGINT)]
    try:
        asyncio.run(scene())
    finally:
        for number, handler in zip((signal.SIGTERM, signal.SIGINT), before, strict=True):
            signal.signal(number, handler)
    assert did == ["signal", "closed", "end the process", "end jobs"]
    assert codes == [0, 0, 0]  # by the teardown, by the signal, and by the end of the loop


PROGRAM = """
import asyncio, os, signal
from contextlib import suppress
from types import SimpleNamespace as Part
from gitbatch.batch.worker import process_end
from gitbatch.cli.dask_preload import dask_setup, dask_teardown

process_end.PATIENCE = 0.1
ended = asyncio.Event()
worker = Part(ip="127.0.0.1", nanny=None, status=Part(name="running"), state=Part(nthreads=1), startup_information={})
worker.memory_manager = Part(memory_limit=None)
worker.security = Part(get_listen_args=lambda _: {"ssl_context": None}, tls_worker_key=None)

async def stay():
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

async def run():
    await dask_setup(worker)
    left = asyncio.create_task(stay())
    os.kill(os.getpid(), signal.SIGTERM)
    await ended.wait()

async def close(reason):
    await dask_teardown(worker)

def end(*_):
    ended.set()

end.__module__ = "distributed._signals"
worker.close = close
signal.signal(signal.SIGTERM, end)
asyncio.run(run())
"""
"""As much of a `dask worker`: it gets SIGTERM while it waits for its scheduler, and a task ignores that it is cancelled."""


def test_process_ends_although_a_task_does_not(workspace: Workspace) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=workspace.environment,
        capture_output=True,
        text=True,
        timeout=45,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "has not ended within 0.1 s after its items, and is ended" in done.stderr
