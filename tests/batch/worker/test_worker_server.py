"""A worker that two runs are connected to at the same time, with certificates."""

# ruff: noqa: F811 - a parameter has the name of its fixture

import asyncio
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
from batch.worker.orchestrators import OTHER, TOKEN, Orchestrator, far  # noqa: F401 - a fixture
from certificates import write_certificates, write_stranger
from msgspec.structs import replace
from waiting import wait_until_async

from gitbatch.batch.executor.carrier import ChannelError
from gitbatch.batch.executor.dask_carrier import StreamChannel
from gitbatch.batch.executor.messages import (
    Alive,
    Bye,
    CancelJob,
    Hello,
    JobEvent,
    NoSlot,
    SentReply,
    Welcome,
)
from gitbatch.batch.executor.tls import connect_streams
from gitbatch.batch.planning.tls_files import make_tls_context
from gitbatch.batch.worker.stdio import list_spooled
from gitbatch.batch.worker.worker_server import WorkerServer
from gitbatch.project.cluster import ClusterAddress

WRITE = "echo hello >out/a.md; echo 'A. Wrote it.'"


async def dial(run: Orchestrator, address: ClusterAddress, context: ssl.SSLContext) -> "asyncio.Task[None]":
    """Connect a run to a worker; returns what listens to it."""
    reader, run.writer = await connect_streams(address, context)
    listening = asyncio.create_task(run._listen(reader))
    run.send(Welcome(1, "1", "0" * 16, "sha1"))
    await wait_until_async(lambda: run.of(Hello), "the greeting")
    return listening


def test_two_runs_share_the_slot_of_a_worker(far: Orchestrator, tmp_path: Path) -> None:
    """The second one is refused, not kept waiting; it gets the slot when it is free, and can end nothing of the first."""
    files = write_certificates(tmp_path / "tls")
    ours, theirs = (
        make_tls_context(files, side) for side in (ssl.Purpose.SERVER_AUTH, ssl.Purpose.CLIENT_AUTH)
    )
    far.settings = type(far.settings)(
        folder=far.settings.folder,
        environment=far.settings.environment,
        sandbox=far.settings.sandbox,
        slots=1,
        name="shared",
    )
    other = Orchestrator(far.repo, far.settings, far.git, far.pool)
    hold = f"while [ ! -e {tmp_path}/go ]; do sleep 0.01; done; {WRITE}"

    async def scene() -> None:
        listen = ClusterAddress(is_encrypted=True, host="127.0.0.1", port=0)
        server = WorkerServer(far.settings, theirs, listen, far.pool.starter, far.git)
        address = ClusterAddress(is_encrypted=True, host="127.0.0.1", port=await server.start())
        listening = [await dial(run, address, ours) for run in (far, other)]
        assert (far.of(Hello)[0].slots, far.of(Hello)[0].host) == (1, "shared")
        far.send_job(f"echo begun; {hold}")
        await wait_until_async(lambda: far.of(JobEvent), "it has begun")
        other.send_job(WRITE, OTHER)
        await wait_until_async(lambda: other.of(NoSlot), other.heard)
        assert other.of(NoSlot) == [NoSlot(OTHER, 0)]
        other.send(CancelJob(TOKEN))
        (tmp_path / "go").touch()
        assert isinstance((await far.wait_for_result()).answer, SentReply)
        await wait_until_async(lambda: Alive(takes_jobs=True, slots=1) in other.heard, other.heard)
        other.send(other.last)
        assert isinstance((await other.wait_for_result()).answer, SentReply)
        assert set(list_spooled(far.settings)) == {TOKEN, OTHER}
        assert [message for message in far.heard if isinstance(message, NoSlot)] == []
        other.send(Bye())
        await listening[1]
        far.send_job("echo busy; exec sleep 600", "ef" * 16)
        await wait_until_async(lambda: any(each.line == "busy" for each in far.of(JobEvent)), far.heard)
        stopping = asyncio.create_task(server.stop())
        await wait_until_async(lambda: Alive(takes_jobs=False) in far.heard, far.heard)
        assert not stopping.done()
        server.end_jobs()
        await asyncio.gather(stopping, listening[0])
        for run in (far, other):
            assert run.writer
            run.writer.transport.abort()

    asyncio.run(scene())
    assert not [*(far.settings.folder / "work").iterdir()]


def test_one_without_a_certificate_of_the_cluster_gets_nothing(far: Orchestrator, tmp_path: Path) -> None:
    """Neither with that of another authority, nor without any, nor without encryption; others are served meanwhile."""
    files, strange = write_certificates(tmp_path / "tls"), write_stranger(tmp_path / "strange")
    ours, stranger = (make_tls_context(each, ssl.Purpose.SERVER_AUTH) for each in (files, strange))
    nobody = ssl.create_default_context(cafile=files.ca)
    nobody.check_hostname = False
    nobody.verify_flags &= (
        ~ssl.VERIFY_X509_STRICT
    )  # Python 3.13 would refuse our authority, which has few extensions

    async def ask(address: ClusterAddress, context: ssl.SSLContext | None) -> object:
        streams = await asyncio.open_connection(address.host, address.port, ssl=context)
        try:
            if context is None:
                streams[1].write(b"hello, is there a worker of gitbatch?\n")
            with suppress(ChannelError):
                return await StreamChannel(*streams).receive()
            return None
        finally:
            streams[1].transport.abort()

    async def scene() -> None:
        listen = ClusterAddress(is_encrypted=True, host="127.0.0.1", port=0)
        context = make_tls_context(files, ssl.Purpose.CLIENT_AUTH)
        server = WorkerServer(far.settings, context, listen, far.pool.starter, far.git)
        address = ClusterAddress(is_encrypted=True, host="127.0.0.1", port=await server.start())
        assert [await ask(address, each) for each in (stranger, nobody, None)] == [None, None, None]
        assert "hello" in str(await ask(address, ours)).lower()
        await server.stop()

    asyncio.run(scene())


def test_run_that_connects_while_the_worker_is_asked_to_stop_is_not_served(
    far: Orchestrator, tmp_path: Path
) -> None:
    """It was accepted before, and has shaken hands after: its items would end with the process."""
    files = write_certificates(tmp_path / "tls")
    ours, theirs = (
        make_tls_context(files, side) for side in (ssl.Purpose.SERVER_AUTH, ssl.Purpose.CLIENT_AUTH)
    )

    async def scene() -> None:
        listen = ClusterAddress(is_encrypted=True, host="127.0.0.1", port=0)
        server = WorkerServer(far.settings, theirs, listen, far.pool.starter, far.git)
        port = await server.start()
        first = await asyncio.open_connection("127.0.0.1", port)
        served = await asyncio.open_connection("127.0.0.1", port, ssl=ours)
        assert await StreamChannel(*served).receive(), "both are accepted"
        served[1].transport.abort()
        await server.stop()
        await first[1].start_tls(ours)
        with pytest.raises(ChannelError, match="the connection is gone"):
            await StreamChannel(*first).receive()
        first[1].transport.abort()

    asyncio.run(scene())


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning"
)  # of a connection that is closed before it has a protocol
def test_those_without_a_certificate_leave_descriptors_for_agents(
    far: Orchestrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They only connect, and say nothing. Those that were there before are served; others again, once some are given up."""
    files = write_certificates(tmp_path / "tls")
    ours, theirs = (
        make_tls_context(files, side) for side in (ssl.Purpose.SERVER_AUTH, ssl.Purpose.CLIENT_AUTH)
    )
    monkeypatch.setattr("gitbatch.batch.worker.worker_server.MOST_SHAKING", 3)

    async def scene() -> None:
        listen = ClusterAddress(is_encrypted=True, host="127.0.0.1", port=0)
        server = WorkerServer(far.settings, theirs, listen, far.pool.starter, far.git)
        address = replace(listen, port=await server.start())
        greeted = [await connect_streams(address, ours) for _ in range(4)]
        assert [len(await StreamChannel(*each).receive()) for each in greeted] == [1] * 4
        silent = [await asyncio.open_connection(address.host, address.port) for _ in range(5)]
        assert await silent[-1][0].read() == b"", "it is closed at once"
        with pytest.raises(ChannelError, match="it hangs up"):
            await connect_streams(address, ours)
        monkeypatch.setattr("gitbatch.batch.worker.worker_server.PATIENCE", 0.0)
        greeted.append(await connect_streams(address, ours))
        assert await StreamChannel(*greeted[-1]).receive()
        for _, writer in (*greeted, *silent):
            writer.transport.abort()
        await server.stop()

    asyncio.run(scene())
