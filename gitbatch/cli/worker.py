"""`gitbatch worker`: works on items for a run on another machine."""

import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitbatch.cli.common import Json, cache_dir, print_output
from gitbatch.cli.verbosity import show_note, show_text
from gitbatch.errors import ExitCode, UsageError
from gitbatch.sandbox.model import SandboxKind

if TYPE_CHECKING:
    from gitbatch.batch.worker.cluster_settings import ClusterSettings
    from gitbatch.batch.worker.stdio import WorkerSettings

Stdio = Annotated[
    bool, typer.Option("--stdio", help="Talk to the run through standard input and output, as it starts it.")
]
Connect = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Join the Dask cluster of a scheduler, such as tls://head:8786; runs find it there.",
    ),
]
TlsCa = Annotated[
    str | None,
    typer.Option(
        metavar="FILE", help="The certificate of the authority that has issued those of the cluster."
    ),
]
TlsCert = Annotated[str | None, typer.Option(metavar="FILE", help="The certificate of this worker.")]
TlsKey = Annotated[str | None, typer.Option(metavar="FILE", help="Its key.")]
Listen = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        help="Where it listens for runs; by default on a free port, at the address from which it reaches the scheduler.",
    ),
]
Check = Annotated[bool, typer.Option("--check", help="Show what this machine has for agents; start nothing.")]
Slots = Annotated[int, typer.Option(min=1, max=1024, help="Agents that work at the same time.")]
Folder = Annotated[
    Path | None, typer.Option(metavar="DIR", help="Its folder; by default one in the user's cache folder.")
]
Sandbox = Annotated[
    SandboxKind,
    typer.Option(help="The sandbox of all agents, whatever the run's configuration says; none only by name."),
]
Name = Annotated[
    str, typer.Option(metavar="NAME", help="The name that the run shows; by default the host's.")
]


def worker(
    stdio: Stdio = False,
    connect: Connect = None,
    check: Check = False,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    listen: Listen = None,
    slots: Slots = 4,
    folder: Folder = None,
    sandbox: Sandbox = SandboxKind.AUTO,
    name: Name = "",
    json: Json = False,
) -> None:
    """Work on items for runs on other machines; or check that this machine can.

    A run starts it with --stdio, by the commands of executor.workers in its gitbatch.toml; or it joins a cluster with --connect,
    where runs find it, until it gets SIGTERM or Ctrl-C. It needs no repository.
    """
    from gitbatch.batch.worker.stdio import WorkerSettings, serve_stdio

    settings = WorkerSettings(
        folder=(folder or cache_dir() / "worker").expanduser().absolute(),
        environment=dict(os.environ),
        slots=slots,
        sandbox=sandbox,
        name=name,
    )
    if stdio + check + (connect is not None and not check) != 1:
        raise UsageError(
            "name what the worker is to do", "use --stdio (a run starts it so), --connect URL, or --check"
        )
    cluster = _read_cluster(connect, listen, (tls_ca, tls_cert, tls_key))
    if check:
        raise typer.Exit(ExitCode.DONE if _show_check(settings, cluster, json=json) else ExitCode.FAILED)
    if cluster:
        from gitbatch.batch.worker.cluster import serve_cluster

        serve_cluster(settings, cluster, show_note)
        return
    _require_connection()
    serve_stdio(settings)


def _require_connection() -> None:
    """Refuses a standard input by which no run can speak: a terminal, a file, /dev/null, or none.

    Raises:
        UsageError: it is one of these.
    """
    if sys.stdin and sys.stdin.isatty():
        raise UsageError(
            "standard input is a terminal, and not a run",
            "by hand: gitbatch worker --check; in executor.workers: no -t, no --pty",
        )
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        mode = 0
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        raise UsageError(
            "standard input is not a connection to a run",
            "in executor.workers: kubectl exec and docker with -i, ssh without -n, srun without --input=none",
        )


def _read_cluster(
    connect: str | None, listen: str | None, files: tuple[str | None, ...]
) -> "ClusterSettings | None":
    """Returns where the worker is to be found; None: it joins no cluster."""
    if connect is None:
        if listen or any(files):
            raise UsageError("--listen and --tls-… have a meaning with --connect only", "add --connect URL")
        return None
    from gitbatch.batch.worker.cluster_settings import read_cluster_settings

    return read_cluster_settings(connect, listen, files, os.environ)


def _show_check(settings: "WorkerSettings", cluster: "ClusterSettings | None", *, json: bool) -> bool:
    """Shows what this machine has; false: something is missing."""
    from gitbatch.batch.worker.machine_check import check_worker
    from gitbatch.view.outputs.worker import worker_output
    from gitbatch.view.worker_check import render_worker_report

    report = check_worker(settings, cluster)
    if json:
        print_output(worker_output(report))
    else:
        for line in render_worker_report(report):
            show_text(line)
    return report.is_able
