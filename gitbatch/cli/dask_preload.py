"""Makes a worker of gitbatch of a Dask worker that others start: `dask worker … --preload gitbatch.cli.dask_preload`.

dask-jobqueue, the operator for Kubernetes and `LocalCluster` start Dask's own workers. Such a worker has as many slots as threads,
announces where it listens for runs, and ends with its scheduler, once its items have ended. `gitbatch worker --connect` outlives it.
"""

import os
from pathlib import Path
from typing import Any

from gitbatch.agents.process.children import watch_by_descriptor
from gitbatch.agents.process.starter import Starter
from gitbatch.batch.executor.dask_scheduler import ANNOUNCED
from gitbatch.batch.worker.cluster_settings import require_alone, require_safe
from gitbatch.batch.worker.stdio import WorkerSettings
from gitbatch.batch.worker.worker_server import WorkerServer
from gitbatch.cli.common import cache_dir
from gitbatch.concurrency import GitThread
from gitbatch.project.cluster import ClusterAddress

_OPENED: list[tuple[WorkerServer, Starter, GitThread]] = []
"""What this process has opened: a process has one Dask worker."""


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
        place=cache_dir() / "worker",
        environment=dict(os.environ),
        slots=worker.state.nthreads,
        hidden=_find_keys(worker.security.tls_worker_key),
    )
    starter, git = Starter(), GitThread()
    server = WorkerServer(settings, context, listen, starter, git)
    _OPENED.append((server, starter, git))
    address = ClusterAddress(listen.is_encrypted, host, await server.start())
    worker.startup_information[ANNOUNCED] = lambda _worker: str(address)


async def dask_teardown(worker: Any) -> None:  # noqa: ANN401, ARG001 - as above
    """Ends with the items that run; their results are sent, or kept."""
    while _OPENED:
        server, starter, git = _OPENED.pop()
        await server.stop()
        starter.close()
        git.close()


def _find_keys(named: str | None) -> tuple[Path, ...]:
    """Returns the files in what Dask has for its key, which may be the key itself."""
    return (Path(named).absolute(),) if named and "\n" not in named else ()
