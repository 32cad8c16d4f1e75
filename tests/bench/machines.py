"""Everything that runs on many machines have to reach, as ratios that were measured in turn in one run."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench.experiments import HERE, run_gitbatch
from bench.machines_setup import (
    JOBS,
    LOCAL,
    OWN_COST,
    WORKERS,
    MachinesSetup,
    list_places,
    open_fleet,
    wait_for,
)
from bench.measure import Cost, run
from bench.reach_setup import render_costs, run_script
from bench.repositories import AGENT, Repository, Work
from bench.rows import Row

_MOST_KB, _MOST_MB = 6, 70
_NAPS = 1.35
_RESUME = 5
_FLAT = 1.5
_TOKEN = 32
"""The length of the name of a result in a spool."""


def measure_own_cost(setup: MachinesSetup) -> Iterator[Row]:
    """What an item costs on workers, next to a local run: the whole command, with the start of workers that it starts."""
    for files, repo in setup.repositories.items():
        for sandbox in setup.sandboxes:
            costs = _run_in_turn(setup, repo, sandbox, Work(1, setup.items))
            local = costs.pop(LOCAL)
            for kind, found in costs.items():
                pairs = ((LOCAL, local), (kind, found))
                said = render_costs((name, *_find_means(each, setup.items)) for name, each in pairs)
                name = f"{files:,} files, {sandbox}: {kind} / local, {setup.items} trivial items"
                wall, cpu = (
                    median(getattr(cost, which) for cost in found)
                    / median(getattr(cost, which) for cost in local)
                    for which in ("wall", "cpu")
                )
                yield Row(name, said, wall, OWN_COST[kind])
                yield Row(f"{name}, processor time of all processes", said, cpu, OWN_COST[kind])


def _run_in_turn(setup: MachinesSetup, repo: Repository, sandbox: str, work: Work) -> dict[str, list[Cost]]:
    """Runs a batch locally and by each carrier, in each round in the other order."""
    costs: dict[str, list[Cost]] = {kind: [] for kind in (LOCAL, *setup.carriers)}
    for number in range(setup.rounds):
        for kind in costs if number % 2 == 0 else reversed(list(costs)):
            with open_fleet(repo, kind, sandbox) as fleet:
                costs[kind].append(fleet.run(repo, work, sandbox))
    return costs


def _find_means(costs: list[Cost], items: int) -> tuple[float, float]:
    """Returns milliseconds for each item: wall and processor time."""
    return 1000 * median(cost.wall for cost in costs) / items, 1000 * median(
        cost.cpu for cost in costs
    ) / items


def measure_bytes(setup: MachinesSetup) -> Iterator[Row]:
    """What is sent for an item."""
    for files, repo in setup.repositories.items():
        with open_fleet(repo, "command", "none") as fleet:
            repo.reset(fleet.add_to(Work(1, setup.items)))
            report = repo.folder / "counted.json"
            options = ("run", "--items", "all", "--checkpoint", "at-end", "--no-input", "--sandbox", "none")
            argv: list[str | Path] = [
                sys.executable,
                HERE / "counted.py",
                report,
                *options,
                "--jobs",
                str(JOBS),
            ]
            run(argv, repo.root, repo.environment, repo.log)
        counted = json.loads(report.read_text(encoding="utf-8"))
        found = {name: count / setup.items / 1000 for name, count in counted.items()}
        rest = found["sent"] - found["prompts"] - found["context"]
        said = ", ".join(f"{name} {value:.2f} KB" for name, value in found.items())
        yield Row(
            f"{files:,} files: sent for an item, without prompt and new context", said, rest, _MOST_KB, " KB"
        )


def measure_naps(setup: MachinesSetup) -> Iterator[Row]:
    """How much longer agents that sleep take than they must."""
    repo = setup.smallest
    work = Work(1, setup.items, agent=f"sleep {setup.nap}; {AGENT}")
    ideal = setup.nap * setup.items / JOBS
    for kind, costs in _run_in_turn(setup, repo, "none", work).items():
        wall = median(cost.wall for cost in costs)
        name = f"{setup.items} x {setup.nap:g} s on {JOBS} slots, {kind}: measured / ideal"
        yield Row(name, f"{wall:.2f} s, ideal {ideal:.2f} s", wall / ideal, None if kind == LOCAL else _NAPS)


def measure_memory(setup: MachinesSetup) -> Iterator[Row]:
    """What the orchestrator takes: with many items, and with outputs as large as they may be."""
    repo, few = setup.smallest, Work(1, JOBS)
    limit = setup.output * 1_000_000
    large = replace(
        few,
        agent=f'head -c {limit} /dev/urandom > "$1"',
        settings=(f"max-output-bytes = {limit}",),
    )
    for kind in (LOCAL, *setup.carriers):
        with open_fleet(repo, kind, "none") as fleet:
            many, least, most = (
                run_gitbatch(repo, fleet.add_to(work), "none", JOBS).peak / 1024
                for work in (Work(1, setup.many), few, large)
            )
        aim = None if kind == LOCAL else _MOST_MB
        yield Row(f"{kind}: memory of the orchestrator, {setup.many:,} items", "", many, aim, " MB")
        said = f"{JOBS} items at a time: {least:.1f} -> {most:.1f} MB"
        name = f"{kind}: … more, with outputs of {setup.output} MB, the limit"
        yield Row(name, said, max(0.0, most - least), None if kind == LOCAL else setup.output, " MB")


def measure_resume(setup: MachinesSetup) -> Iterator[Row]:
    """How long a run takes that finds all results in the spools of its workers: the one before was killed."""
    repo, items = setup.smallest, setup.items
    started, gate = repo.folder / "started", repo.folder / "gate"
    for path in (started, gate):
        path.unlink() if path.is_fifo() else subprocess.run(["rm", "-rf", "--", path], check=True)
    started.mkdir()
    os.mkfifo(gate)
    agent = f': > "{started}/$2"; : < "{gate}"; {AGENT}'
    with open_fleet(repo, "command", "none", slots=-(-items // WORKERS)) as fleet:
        repo.reset(fleet.add_to(Work(1, items, agent=agent)))
        _spool_results(repo, items, started, gate)
        argv = [sys.executable, "-m", "gitbatch", "run", "--no-input", "--sandbox", "none"]
        cost = run(argv, repo.root, repo.environment, repo.log)
    ran = len(list(started.iterdir()))
    said = f"{cost.cpu:.2f} s of processor time, workers too"
    yield Row(f"resume of {items} results in spools", said, cost.wall, _RESUME, " s")
    yield Row("… agents that ran again", "", ran - items, 0, "")


def _spool_results(repo: Repository, items: int, started: Path, gate: Path) -> None:
    """Lets all agents of a batch run, kills the run, and lets the agents end."""
    options = (
        "--items",
        "all",
        "--checkpoint",
        "at-end",
        "--no-input",
        "--sandbox",
        "none",
        "--jobs",
        str(items),
    )
    with repo.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gitbatch", "run", *options],
            cwd=repo.root,
            env=repo.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        wait_for(lambda: len(list(started.iterdir())) == items, "all agents had started")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    opened = os.open(gate, os.O_WRONLY)  # the agents, which wait for this, read until it is closed
    os.close(opened)
    wait_for(lambda: _count_results(repo) == items, "all results were in the spools")
    (gate).unlink()
    gate.touch()  # an agent that runs again would not wait


def _count_results(repo: Repository) -> int:
    spools = (folder.glob("place/spool/*/*") for folder in list_places(repo))
    return sum(len(path.name) == _TOKEN for spool in spools for path in spool)


def measure_simulated(setup: MachinesSetup) -> Iterator[Row]:
    """What workers and items cost the orchestrator, with any number of both."""
    repo = setup.smallest
    repo.reset(Work(1, 1))
    least: float | None = None
    for workers, items in setup.simulated:
        found = run_script(repo, "simulated.py", workers, items)
        own = 1000 * found["own"]
        name = f"simulated: {workers:,} workers, {items:,} items"
        said = (
            f"{1000 * found['greetings']:.2f} ms for the greeting of a worker, {found['sent'] / 1000:.1f} KB sent for an item, "
            f"peak memory {found['peak']:.0f} MB"
        )
        yield Row(f"{name}: own processor time of an item", said, own, unit=" ms")
        if least is None:
            least = own
        else:
            yield Row(f"{name}: … / the first", f"{least:.2f} -> {own:.2f} ms", own / least, _FLAT)


MACHINE_SECTIONS: dict[str, Callable[[MachinesSetup], Iterator[Row]]] = {
    "own-cost": measure_own_cost,
    "bytes": measure_bytes,
    "naps": measure_naps,
    "memory": measure_memory,
    "resume": measure_resume,
    "simulated": measure_simulated,
}


def measure_machines(
    setup: MachinesSetup, sections: tuple[str, ...]
) -> Iterator[tuple[str, list[Row], float]]:
    """Yields the rows of each section as soon as they are known, and the seconds that it took."""
    for name in sections:
        began = time.monotonic()
        rows = list(MACHINE_SECTIONS[name](setup))
        yield name, rows, time.monotonic() - began
