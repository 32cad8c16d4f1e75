"""The preload that makes a worker for runs of a Dask worker."""

import asyncio
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import Place

from gitbatch.batch.executor.dask_carrier import StreamChannel
from gitbatch.batch.executor.messages import Hello
from gitbatch.batch.executor.tls import connect_streams
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
    )


def test_worker_announces_where_it_listens(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in place.environment.items():
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
    assert Path(place.environment["HOME"]).exists()


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
