"""Whole batches of trivial items in full worktrees: against the shell loop, against the naive loop on a disk, and many at once."""

from collections.abc import Iterator
from pathlib import Path

from bench.experiments import HERE, run_as_people_do, run_loop
from bench.measure import Cost, FailedError, run
from bench.reach_setup import (
    FAR,
    Setup,
    Times,
    clear_cache,
    join_times,
    render_costs,
    run_warm,
    warm_template,
    with_kind,
)
from bench.repositories import AGENT, Repository, Work, fresh, output_name
from bench.rows import Row

LEAST = {236: (3, 2), 5000: (20, 14), FAR: (200, 150)}
"""How many times as long the shell loop has to take, by files: without a sandbox, and in one."""
_DISK_JOBS = 4
_FLAT = 1.5


def measure_batches(setup: Setup) -> Iterator[Row]:
    """A batch with a warm template against the shell loop, all sizes and sandboxes in turn."""
    work, times, cpu = Work(1, setup.items, "full"), Times(), Times()
    for files, repo in setup.repositories.items():
        clear_cache(repo)
        cost = run_as_people_do(repo, work, setup.sandboxes[0])
        yield Row(
            f"{files:,} files: cold, without a template ({setup.sandboxes[0]})",
            f"whole batch {cost.wall:.2f} s",
            1000 * cost.wall / setup.items,
            unit=" ms an item",
        )
    for number in range(setup.rounds):
        for files, repo in setup.repositories.items():
            for sandbox in setup.sandboxes:
                _add(times, cpu, sandbox, files, run_warm(repo, work, sandbox), setup.items)
            loops = 2 if files > FAR // 2 else 5
            if number < _loop_rounds(setup, files):
                _add(times, cpu, "shell loop", files, run_loop(repo, work, loops)[0], loops)
    yield from _batch_rows(setup, times, cpu)


def _loop_rounds(setup: Setup, files: int) -> int:
    """In a large repository the loop takes seconds for an item: twice is enough."""
    return min(2, setup.rounds) if files > FAR // 2 else setup.rounds


def _add(times: Times, cpu: Times, name: str, files: int, cost: Cost, items: int) -> None:
    times.add(name, files, cost.wall / items)
    cpu.add(name, files, cost.cpu / items)


def _batch_rows(setup: Setup, times: Times, cpu: Times) -> Iterator[Row]:
    for files in setup.repositories:
        loop = times.median("shell loop", files)
        for sandbox in setup.sandboxes:
            ours = times.median(sandbox, files)
            aims = LEAST.get(files)
            aim = None if aims is None else aims[sandbox != "none"]
            costs = (
                (name, times.median(name, files), cpu.median(name, files)) for name in (sandbox, "shell loop")
            )
            measured = render_costs(costs)
            name = f"{files:,} files, {sandbox}: shell loop / gitbatch, full, warm"
            yield Row(name, measured, loop / ours, aim, at_least=True)
    few, many = min(setup.sizes), max(setup.sizes)
    for sandbox in setup.sandboxes:
        walls, loads = ((each.median(sandbox, few), each.median(sandbox, many)) for each in (times, cpu))
        measured = f"{walls[0]:.1f} -> {walls[1]:.1f} ms; processor time {loads[0]:.1f} -> {loads[1]:.1f} ms"
        yield Row(
            f"own cost of an item at {many:,} / at {few:,} files, {sandbox}",
            measured,
            walls[1] / walls[0],
            _FLAT,
        )


def measure_on_disk(setup: Setup) -> Iterator[Row]:
    """The same on a disk, several at a time, against the naive loop: layers, and checkouts that are kept."""
    files, items = setup.on_disk
    repo, work = setup.disk.find(files), Work(1, items, "full")
    times, problems = Times(), dict[str, str]()
    ways = {
        f"{kind}, {sandbox}": (kind, sandbox) for kind in ("overlay", "copy") for sandbox in setup.sandboxes
    }
    for _ in range(setup.rounds):
        times.add("naive loop", 0, run_naive_loop(repo, work).wall / items)
        for way, (kind, sandbox) in ways.items():
            try:
                times.add(way, 0, run_warm(with_kind(repo, kind), work, sandbox).wall / items)
            except FailedError as error:  # a kind of worktree, or a sandbox, that does not work here
                problems[way] = str(error).strip().splitlines()[-1]
    loop = times.median("naive loop", 0)
    for way, (kind, _) in ways.items():
        name = f"on a disk, {items} items, {_DISK_JOBS} at a time, {way}: gitbatch / naive loop"
        if way in problems:
            yield Row(name, problems[way])
            continue
        ours = times.median(way, 0)
        measured = join_times((("gitbatch", ours), ("naive loop", loop)))
        yield Row(name, measured, ours / loop, 0.5 if kind == "overlay" else 1.0)


def run_naive_loop(repo: Repository, work: Work) -> Cost:
    """Runs the work by the naive loop."""
    repo.reset(work)
    outputs = [output_name(1, item + 1) for item in range(work.items)]
    argv: list[str | Path] = [
        "bash",
        HERE / "parallel.sh",
        repo.worktrees,
        fresh(AGENT),
        str(_DISK_JOBS),
        *outputs,
    ]
    return run(argv, repo.root, repo.environment, repo.log)


def measure_width(setup: Setup) -> Iterator[Row]:
    """Many items at the same time, in the smallest repository and in the largest; then nothing may be mounted."""
    items, jobs = setup.wide
    times, work = Times(), Work(1, items, "full")
    left: set[str] = set()
    for _ in range(min(2, setup.rounds)):
        for files, repo in setup.ends.items():
            for sandbox in setup.sandboxes:
                cost = run_as_people_do(repo, work, sandbox, prepare=warm_template, jobs=jobs)
                times.add(sandbox, files, cost.wall)
                left |= find_mounts(repo.folder)
                left |= {path.name for path in repo.worktrees.glob("*/*") if not path.name.startswith(".")}
    few, many = setup.ends
    for sandbox in setup.sandboxes:
        walls = [times.median(sandbox, files) for files in (few, many)]
        name = f"{items} items at --jobs {jobs}, {sandbox}: {many:,} / {few:,} files"
        yield Row(name, f"{walls[0] / 1000:.2f} s -> {walls[1] / 1000:.2f} s", walls[1] / walls[0], _FLAT)
    yield Row(
        "mounts and worktrees left afterwards", ", ".join(sorted(left)[:5]) or "none", len(left), 0, unit=""
    )


def find_mounts(folder: Path) -> set[str]:
    """Returns the mounts at or from below a folder that any process sees."""
    wanted = str(folder).replace(" ", "\\040")
    found: set[str] = set()
    for mounts in Path("/proc").glob("[0-9]*/mountinfo"):
        try:
            text = mounts.read_text(encoding="utf-8", errors="replace")
        except OSError:  # a process that has ended
            continue
        found |= {line.split(" ", 5)[4] for line in text.splitlines() if wanted in line}
    return found
