"""`gitbatch worker --connect`: a worker that joins a Dask cluster, so that runs find it, and outlives its scheduler.

A Dask worker inside of it tells the scheduler where it listens for runs, and does nothing else of ours. It has no nanny and no limit of
memory, both of which kill agents that are paid for. When the scheduler is gone, Dask ends its worker: another one is made,
which waits for a scheduler, and the runs that are connected notice nothing.
"""

import asyncio
import logging
import secrets
import signal
import socket
import ssl
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from gitbatch.agents.process.children import watch_by_descriptor
from gitbatch.agents.process.starter import Starter
from gitbatch.batch.executor.carrier import ChannelError
from gitbatch.batch.executor.dask_carrier import StreamChannel
from gitbatch.batch.executor.dask_scheduler import ANNOUNCED, SchedulerConnection
from gitbatch.batch.executor.tls import connect_streams
from gitbatch.batch.planning.tls_files import make_tls_context
from gitbatch.batch.worker.cluster_settings import ClusterSettings
from gitbatch.batch.worker.process_end import end_soon
from gitbatch.batch.worker.stdio import STOP_SIGNALS, WorkerSettings
from gitbatch.batch.worker.worker_server import WorkerServer
from gitbatch.concurrency import GitThread
from gitbatch.errors import ExitCode, GitbatchError
from gitbatch.project.cluster import ClusterAddress
from gitbatch.text import clean_text, format_count

_QUIET = {
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.worker.profile.enabled": False,
}
"""What Dask does again and again to watch tasks, of which there are none."""
_PAUSE = 0.5
"""Seconds before a cluster is joined again."""
_LEAVING = 2.0
"""Seconds that Dask has to leave a cluster."""


def serve_cluster(settings: WorkerSettings, cluster: ClusterSettings, tell: Callable[[str], None]) -> None:
    """Works for the runs that find this worker by the scheduler, until a signal asks it to stop.

    Raises:
        GitbatchError: no sandbox works here, Dask is not installed, or the certificate cannot be used.
    """
    require_dask()
    watch_by_descriptor()
    with ExitStack() as ending, closing(Starter()) as starter, closing(GitThread()) as git:
        asyncio.run(_serve_and_leave(settings, cluster, tell, (starter, git), ending))


def require_dask() -> str:
    """Returns the version of Dask.

    Raises:
        GitbatchError: it is not installed.
    """
    if find_spec("distributed") is None:
        raise GitbatchError("a worker of a cluster needs Dask", "install it: pip install 'gitbatch[dask]'")
    return version("distributed")


def open_server(
    settings: WorkerSettings, cluster: ClusterSettings, started: tuple[Starter, GitThread]
) -> WorkerServer:
    """Returns what listens for runs; it does not yet.

    Raises:
        GitbatchError: no sandbox works here, the certificate cannot be used, or the scheduler's name is not known.
    """
    context = make_tls_context(cluster.tls, ssl.Purpose.CLIENT_AUTH) if cluster.tls else None
    scheduler = cluster.scheduler
    listen = cluster.listen or ClusterAddress(
        scheduler.is_encrypted, "127.0.0.1" if scheduler.is_loopback else _find_own_address(scheduler), 0
    )
    key = (Path(cluster.tls.key).expanduser().absolute(),) if cluster.tls else ()
    return WorkerServer(replace(settings, hidden=key), context, listen, *started)


def try_cluster(settings: WorkerSettings, cluster: ClusterSettings) -> str:
    """Asks the scheduler as a run does, and connects to this worker as a run would; returns what was found.

    Raises:
        GitbatchError: one of both is not possible.
    """
    dask = require_dask()
    with closing(Starter()) as starter, closing(GitThread()) as git:
        server = open_server(settings, cluster, (starter, git))
        try:
            count = asyncio.run(_try_both(server, cluster))
        except ChannelError as error:
            raise GitbatchError(
                str(error),
                "start the scheduler; a worker's certificate is for both sides (gitbatch help deployments)",
            ) from error
    return f"{cluster.scheduler} (Dask {dask}; {format_count(count, 'worker')} there, besides this one)"


async def _try_both(server: WorkerServer, cluster: ClusterSettings) -> int:
    count = await _ask_scheduler(cluster)
    address = await announce_server(server, cluster)
    _, writer = streams = await connect_streams(address, _make_client_context(cluster))
    try:
        await StreamChannel(*streams).receive()
    finally:
        writer.transport.abort()
        await server.stop()
    return count


async def _ask_scheduler(cluster: ClusterSettings) -> int:
    """Returns the number of workers that a scheduler knows."""
    streams = await connect_streams(cluster.scheduler, _make_client_context(cluster))
    connection = await SchedulerConnection.open(streams)
    try:
        return len(await connection.find_workers())
    finally:
        connection.close()


def _make_client_context(cluster: ClusterSettings) -> ssl.SSLContext | None:
    return make_tls_context(cluster.tls, ssl.Purpose.SERVER_AUTH) if cluster.tls else None


async def _serve_and_leave(
    settings: WorkerSettings,
    cluster: ClusterSettings,
    tell: Callable[[str], None],
    started: tuple[Starter, GitThread],
    ending: ExitStack,
) -> None:
    """Serves until the end; then the process may wait for what Dask leaves for a while, until the stack is closed."""
    code = ExitCode.FAILED
    try:
        await _serve(settings, cluster, tell, started)
        code = ExitCode.DONE
    finally:
        ending.callback(end_soon(lambda: code, lambda text: tell(f"worker {settings.host}: {text}")).cancel)


async def _serve(
    settings: WorkerSettings,
    cluster: ClusterSettings,
    tell: Callable[[str], None],
    started: tuple[Starter, GitThread],
) -> None:
    server = open_server(settings, cluster, started)
    signals = asyncio.Queue[None]()
    loop = asyncio.get_running_loop()
    for number in find_stop_signals():
        loop.add_signal_handler(number, signals.put_nowait, None)
    address = await announce_server(server, cluster)
    listens = f"listens at {address}{describe_reach(address, cluster.scheduler)}"
    tell(f"worker {settings.host}: {listens}, looks for the scheduler {cluster.scheduler}")
    joining = asyncio.create_task(_keep_joined(settings, cluster, address, tell))
    waiting = asyncio.create_task(signals.get())
    await asyncio.wait((joining, waiting), return_when=asyncio.FIRST_COMPLETED)
    joining.cancel()
    waiting.cancel()
    tell(
        f"worker {settings.host}: takes no further item, and ends with those that run; a second signal ends them"
    )
    stopping, hurry = asyncio.create_task(server.stop()), asyncio.create_task(signals.get())
    await asyncio.wait((stopping, hurry), return_when=asyncio.FIRST_COMPLETED)
    hurry.cancel()
    server.end_jobs()
    await asyncio.wait((stopping,))
    await asyncio.wait((joining,), timeout=2 * _LEAVING)
    if joining.done() and not joining.cancelled():
        joining.result()


def find_stop_signals() -> tuple[signal.Signals, ...]:
    """Returns the signals that ask this process to stop: not those that it was started to ignore, as by `nohup`."""
    numbers = (*STOP_SIGNALS, signal.SIGINT, signal.SIGHUP)
    return tuple(number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN)


async def announce_server(server: WorkerServer, cluster: ClusterSettings) -> ClusterAddress:
    """Begins to listen; returns the address at which runs reach it.

    Raises:
        GitbatchError: that is not possible there.
    """
    try:
        port = await server.start()
    except OSError as error:
        raise GitbatchError(
            f"cannot listen at {server.listen}: {error.strerror or error}",
            "name another address with --listen",
        ) from error
    host = server.listen.host
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared
        host = _find_own_address(cluster.scheduler)
    return ClusterAddress(server.listen.is_encrypted, host, port)


def describe_reach(address: ClusterAddress, scheduler: ClusterAddress) -> str:
    """Returns a warning if runs on other machines cannot reach a worker: on Debian, a machine's own name leads to 127.0.1.1."""
    if not address.is_loopback or scheduler.is_loopback:
        return ""
    return " (for runs on this machine alone: --listen HOST:PORT names an address for others)"


def _find_own_address(scheduler: ClusterAddress) -> str:
    """Returns the address of this machine from which a scheduler is reached; nothing is sent.

    That for the first address of the scheduler's name to which there is a way: a machine may have none by IPv6.
    """
    reason = "its name has no address"
    try:
        for family, kind, *_, there in socket.getaddrinfo(
            scheduler.host, scheduler.port, type=socket.SOCK_DGRAM
        ):
            try:
                with socket.socket(family, kind) as probe:
                    probe.connect(there)
                    return str(probe.getsockname()[0])
            except OSError as error:
                reason = error.strerror or str(error)
    except OSError as error:
        reason = error.strerror or str(error)
    except UnicodeError:
        reason = "not the name of a host"
    raise GitbatchError(
        f"cannot find the scheduler {scheduler}: {reason}",
        "correct --connect, or name this machine's address with --listen",
    )


async def _keep_joined(
    settings: WorkerSettings, cluster: ClusterSettings, address: ClusterAddress, tell: Callable[[str], None]
) -> None:
    """Is in the cluster whenever it has a scheduler; says each reason why it is not once."""
    said = ""
    while True:
        await _wait_for_scheduler(settings, cluster, tell)
        try:
            await _stay_joined(settings, cluster, address, tell)
        except (OSError, TimeoutError, ValueError, RuntimeError) as error:
            reason = clean_text(str(error.__cause__ or error))
            if said != reason:
                said = reason
                tell(f"worker {settings.host}: cannot join the cluster of {cluster.scheduler}: {reason}")
        else:
            said = ""
            tell(f"worker {settings.host}: the scheduler {cluster.scheduler} is gone; looks for it again")
        await asyncio.sleep(_PAUSE)


async def _stay_joined(
    settings: WorkerSettings, cluster: ClusterSettings, address: ClusterAddress, tell: Callable[[str], None]
) -> None:
    """Joins a cluster, and returns when its scheduler is gone."""
    member = _make_member(settings, cluster, address)
    try:
        await member
        tell(f"worker {settings.host}: has joined the cluster of {cluster.scheduler}")
        await member.finished()
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LEAVING):
                await member.close(timeout=_LEAVING / 2, executor_wait=False, nanny=False)


async def _wait_for_scheduler(
    settings: WorkerSettings, cluster: ClusterSettings, tell: Callable[[str], None]
) -> None:
    """Returns when a scheduler answers; says each reason why none does. Dask would wait and say nothing."""
    said = ""
    while True:
        try:
            await _ask_scheduler(cluster)
        except ChannelError as error:
            if said != str(error):
                said = str(error)
                tell(f"worker {settings.host}: cannot join the cluster: {said}")
            await asyncio.sleep(_PAUSE)
        else:
            return


def _make_member(settings: WorkerSettings, cluster: ClusterSettings, address: ClusterAddress) -> Any:  # noqa: ANN401 - Dask has no types
    """Returns a Dask worker that announces an address."""
    import dask.config  # noqa: PLC0415 - as the next one
    from distributed import Security, Worker  # noqa: PLC0415 - it takes a second

    dask.config.set(_QUIET)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # what matters is said here
    security = Security(require_encryption=False)  # type: ignore[no-untyped-call]
    if files := cluster.tls:
        ca, cert, key = (str(Path(name).expanduser()) for name in (files.ca, files.cert, files.key))
        security = Security(  # type: ignore[no-untyped-call]
            require_encryption=True,
            tls_ca_file=ca,
            tls_worker_cert=cert,
            tls_worker_key=key,
            tls_client_cert=cert,
            tls_client_key=key,
        )
    host = f"[{address.host}]" if ":" in address.host else address.host
    return Worker(
        str(cluster.scheduler),
        host=host,
        name=f"{settings.host}-{secrets.token_hex(3)}",
        nthreads=settings.slots,
        memory_limit=0,
        dashboard=False,
        dashboard_address="127.0.0.1:0",
        local_directory=str(settings.folder / "dask"),
        startup_information={ANNOUNCED: lambda _worker: str(address)},
        security=security,
    )
