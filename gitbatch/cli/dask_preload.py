"""Makes a worker of gitbatch of a Dask worker that others start: `dask worker … --preload gitbatch.cli.dask_preload`.

dask-jobqueue, the operator for Kubernetes and `LocalCluster` start Dask's own workers. Such a worker has as many slots as threads,
announces where it listens for runs, and ends with its scheduler, once its items have ended. `gitbatch worker --connect` outlives it.
"""

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from gitbatch.agents.process.children import watch_by_descriptor
from gitbatch.agents.process.starter import Starter
from gitbatch.batch.executor.dask_scheduler import ANNOUNCED
from gitbatch.batch.worker.cluster_settings import require_alone, require_safe
from gitbatch.batch.worker.process_end import end_soon
from gitbatch.batch.worker.stdio import STOP_SIGNALS, WorkerSettings
from gitbatch.batch.worker.worker_server import WorkerServer
from gitbatch.cli.common import cache_dir
from gitbatch.concurrency import GitThread
from gitbatch.project.cluster import ClusterAddress

_HANDLERS = "distributed._signals"
"""The module of Dask whose handlers end a `dask worker`."""


class _Opened(NamedTuple):
    server: WorkerServer
    starter: Starter
    git: GitThread
    is_program: bool
    """The process is a `dask worker`: it ends with it."""


_OPENED: list[_Opened] = []
"""What this process has opened: a process has one Dask worker."""
_WAITING: "set[asyncio.Task[None]]" = set()
"""What waits for signals, until the process ends."""


async def dask_setup(worker: Any) -> None:  # noqa: ANN401 - Dask's own, of no type that is loaded here
    """Begins to listen for runs, before the worker registers at its scheduler.

    Raises:
        GitbatchError: no sandbox works here, or the cluster is neither encrypted nor on this machine alone.
    """
    require_alone(has_nanny=bool(worker.nanny), memory_limit=worker.memory_manager.memory_limit)
    context = worker.security.get_listen_args("worker")["ssl_context"]
    host = worker.ip.strip("[]")
    listen = require_safe(ClusterAddress(context is not None, host, 0))
    watch_by_descriptor()
    settings = WorkerSettings(
        folder=cache_dir() / "worker",
        environment=dict(os.environ),
        slots=worker.state.nthreads,
        hidden=_find_keys(worker.security.tls_worker_key),
    )
    starter, git, leave = Starter(), GitThread(), _find_end_of_program()
    server = WorkerServer(settings, context, listen, starter, git)
    _OPENED.append(_Opened(server, starter, git, is_program=leave is not None))
    address = ClusterAddress(listen.is_encrypted, host, await server.start())
    worker.startup_information[ANNOUNCED] = lambda _worker: str(address)
    if leave:
        _WAITING.add(asyncio.create_task(_stop_by_signals(worker, server, leave)))


async def dask_teardown(worker: Any) -> None:  # noqa: ANN401 - as above
    """Ends with the items that run; their results are sent, or kept."""
    while _OPENED:
        server, starter, git, is_program = _OPENED.pop()
        await server.stop()
        if is_program:
            _end_soon(worker)
        starter.close()
        git.close()


def _find_end_of_program() -> Callable[[], object] | None:
    """Returns what ends the `dask worker` that this process is, as a signal does; None: it is another program."""
    handler = signal.getsignal(signal.SIGTERM)
    if callable(handler) and getattr(handler, "__module__", "") == _HANDLERS:
        return partial(handler, signal.SIGTERM, None)
    return None


async def _stop_by_signals(worker: Any, server: WorkerServer, leave: Callable[[], object]) -> None:  # noqa: ANN401 - as above
    """Closes a `dask worker` at a signal, once its items have ended; a second signal ends them, and a third one the process.

    Dask's own handlers end the process at the first one, with the agents that are paid for; and one that comes while the worker is
    being closed, as when a job is cancelled with its scheduler, leaves a process that never ends (`process_end.py`).
    """
    loop, signals = asyncio.get_running_loop(), asyncio.Queue[None]()
    numbers = (*STOP_SIGNALS, signal.SIGINT)
    for number in numbers:
        loop.add_signal_handler(number, signals.put_nowait, None)
    try:
        await signals.get()
        closing = asyncio.create_task(_close_worker(worker, server, leave))
        await signals.get()
        server.end_jobs()
        for number in numbers:
            loop.remove_signal_handler(number)
        await closing
    finally:  # the loop is being closed, and the items are ended with it
        _end_soon(worker)


async def _close_worker(worker: Any, server: WorkerServer, leave: Callable[[], object]) -> None:  # noqa: ANN401 - as above
    """Ends the process once the items have ended: also one that still waits for its scheduler, or whose worker cannot be closed."""
    closing = asyncio.create_task(worker.close(reason="signal"))
    await server.stop()
    _end_soon(worker)
    await asyncio.wait((closing,))
    leave()


def _end_soon(worker: Any) -> None:  # noqa: ANN401 - as above
    end_soon(lambda: int(worker.status.name == "failed"), logging.getLogger("distributed.worker").warning)


def _find_keys(named: str | None) -> tuple[Path, ...]:
    """Returns the files in what Dask has for its key, which may be the key itself."""
    return (Path(named).absolute(),) if named and "\n" not in named else ()
