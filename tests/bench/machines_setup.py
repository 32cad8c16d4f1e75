"""What the rows of many machines share: three workers of four slots on this machine, and how a batch is run on them."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from bench.experiments import run_as_people_do
from bench.measure import Cost, FailedError
from bench.repositories import Repository, Supply, Work, remove_folder
from certificates import write_certificates

WORKERS, SLOTS = 3, 4
JOBS = WORKERS * SLOTS
LOCAL = "local"
OWN_COST: Mapping[str, float] = MappingProxyType({"command": 2, "dask": 2.3})
"""How many times the cost of a local run that of each carrier may be."""
_PATIENCE = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class MachinesSetup:
    """What is measured, and where."""

    sizes: tuple[int, ...]
    supply: Supply
    sandboxes: tuple[str, ...]
    rounds: int
    items: int
    """Of the batch whose cost is compared."""
    many: int
    """Of the batch whose memory is looked at."""
    nap: float
    """Seconds that agents sleep where that is compared with the ideal."""
    output: int
    """The largest output, in megabytes."""
    simulated: tuple[tuple[int, int], ...]
    """Pairs of workers and items; the first is what the others are compared with."""
    carriers: tuple[str, ...]

    @property
    def repositories(self) -> dict[int, Repository]:
        """Returns the smallest and the largest repository."""
        ends = {min(self.sizes), max(self.sizes)}
        return {files: self.supply.find(files) for files in sorted(ends)}

    @property
    def smallest(self) -> Repository:
        """Returns the smallest repository."""
        return self.supply.find(min(self.sizes))


@dataclass(frozen=True, slots=True)
class Fleet:
    """Workers of one carrier: their settings for a run, and the processes that were started for them."""

    kind: str
    settings: tuple[str, ...]
    """Lines of the configuration."""
    processes: tuple[int, ...] = ()

    def run(self, repo: Repository, work: Work, sandbox: str) -> Cost:
        """Runs a batch without stopwatches; its cost includes that of the workers."""
        before = sum(map(_processor_time, self.processes))
        cost = run_as_people_do(repo, self.add_to(work), sandbox, jobs=JOBS)
        return replace(cost, cpu=cost.cpu + sum(map(_processor_time, self.processes)) - before)

    def add_to(self, work: Work) -> Work:
        """Returns some work that these workers do."""
        return replace(work, settings=(*work.settings, *self.settings))


@contextmanager
def open_fleet(repo: Repository, kind: str, sandbox: str, slots: int = SLOTS) -> Iterator[Fleet]:
    """Yields workers in new folders, and ends them."""
    for folder in list_places(repo):
        remove_folder(folder)
        folder.mkdir()
    with ExitStack() as stack:
        match kind:
            case "local":
                yield Fleet(kind, ())
            case "command":
                commands = [
                    ["env", f"HOME={folder}", *_list_options(folder, sandbox, slots, "--stdio")]
                    for folder in list_places(repo)
                ]
                table = ("[executor]", 'kind = "command"', f"workers = {json.dumps(commands)}")
                yield Fleet(kind, table)
            case _:
                yield _open_cluster(repo, sandbox, stack)


def list_places(repo: Repository) -> list[Path]:
    """Returns the folders of the workers."""
    return [repo.folder / f"far{number}" for number in range(1, WORKERS + 1)]


def wait_for(done: Callable[[], bool], what: str) -> None:
    """Waits until something is done.

    Raises:
        FailedError: it takes too long.
    """
    until = time.monotonic() + _PATIENCE
    while not done():
        if time.monotonic() > until:
            raise FailedError(f"it took more than {_PATIENCE:g} seconds until {what}")
        time.sleep(0.02)


def _list_options(folder: Path, sandbox: str, slots: int, *how: str) -> list[str]:
    options = ["--name", folder.name, "--slots", str(slots), "--sandbox", sandbox]
    return [sys.executable, "-m", "gitbatch", "worker", *how, *options, "--folder", str(folder / "place")]


def _open_cluster(repo: Repository, sandbox: str, stack: ExitStack) -> Fleet:
    """Returns the workers of a Dask cluster with certificates, which runs until the stack is closed."""
    tls = write_certificates(repo.folder / "tls")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"tls://127.0.0.1:{port}"
    files = ("--tls-ca-file", tls.ca, "--tls-cert", tls.cert, "--tls-key", tls.key)
    scheduler = (
        sys.executable,
        "-m",
        "distributed.cli.dask_scheduler",
        "--host",
        url,
        "--no-dashboard",
        *files,
    )
    variables = {"GITBATCH_TLS_CA": tls.ca, "GITBATCH_TLS_CERT": tls.cert, "GITBATCH_TLS_KEY": tls.key}
    processes = [_start(scheduler, repo, repo.folder / "scheduler.log", {}, stack)]
    logs = []
    for folder in list_places(repo):
        logs.append(folder / "log")
        command = tuple(_list_options(folder, sandbox, SLOTS, "--connect", url))
        processes.append(_start(command, repo, logs[-1], {**variables, "HOME": str(folder)}, stack))
    wait_for(lambda: all(re.search("joined the cluster", log.read_text()) for log in logs), "all had joined")
    named = f'tls = {{ ca = "{tls.ca}", cert = "{tls.cert}", key = "{tls.key}" }}'
    return Fleet("dask", ("[executor]", 'kind = "dask"', f'cluster = "{url}"', named), tuple(processes))


def _start(
    command: tuple[str, ...], repo: Repository, log: Path, more: Mapping[str, str], stack: ExitStack
) -> int:
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=repo.folder,
            env={**repo.environment, **more},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
        )
    stack.callback(process.wait)
    stack.callback(process.send_signal, signal.SIGKILL)
    return process.pid


def _processor_time(process: int) -> float:
    """Returns the seconds of a process and of all below it: those that have ended, and those that run."""
    folder = Path(f"/proc/{process}")
    try:
        fields = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        below = " ".join(path.read_text(encoding="ascii") for path in folder.glob("task/*/children"))
    except (FileNotFoundError, ProcessLookupError):  # it has ended: it is counted by the one that started it
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS + sum(map(_processor_time, map(int, below.split())))
