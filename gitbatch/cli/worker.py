"""`gitbatch worker`: works on items for a run on another machine."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gitbatch.cli.common import Json, cache_dir, print_output
from gitbatch.cli.verbosity import show_text
from gitbatch.errors import ExitCode, UsageError
from gitbatch.sandbox.model import SandboxKind

if TYPE_CHECKING:
    from gitbatch.batch.worker.stdio import WorkerSettings

Stdio = Annotated[
    bool, typer.Option("--stdio", help="Talk to the run through standard input and output, as it starts it.")
]
Check = Annotated[bool, typer.Option("--check", help="Show what this machine has for agents; start nothing.")]
Slots = Annotated[int, typer.Option(min=1, max=1024, help="Agents that work at the same time.")]
Place = Annotated[
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
    check: Check = False,
    slots: Slots = 4,
    place: Place = None,
    sandbox: Sandbox = SandboxKind.AUTO,
    name: Name = "",
    json: Json = False,
) -> None:
    """Work on items for a run on another machine, which starts this command there; or check that it can.

    A run starts it with --stdio, by the commands in [executor] of its configuration. It needs no repository.
    """
    from gitbatch.batch.worker.stdio import WorkerSettings, serve_stdio

    settings = WorkerSettings(
        place=(place or cache_dir() / "worker").expanduser().absolute(),
        environment=dict(os.environ),
        slots=slots,
        sandbox=sandbox,
        name=name,
    )
    if stdio == check:
        raise UsageError("name what the worker is to do", "use --stdio (a run starts it so) or --check")
    if check:
        raise typer.Exit(ExitCode.DONE if _show_check(settings, json=json) else ExitCode.FAILED)
    if sys.stdin.isatty():
        raise UsageError(
            "a run starts gitbatch worker --stdio itself", "try it by hand: gitbatch worker --check"
        )
    serve_stdio(settings)


def _show_check(settings: "WorkerSettings", *, json: bool) -> bool:
    """Shows what this machine has; false: something is missing."""
    from gitbatch.batch.worker.check import check_worker
    from gitbatch.view.outputs.worker import WorkerOutput
    from gitbatch.view.worker_check import render_worker_report

    report = check_worker(settings)
    if json:
        print_output(WorkerOutput(report))
    else:
        for line in render_worker_report(report):
            show_text(line)
    return report.is_able
