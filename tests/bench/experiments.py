"""What is measured. Each experiment does everything that it compares in turn, so that a busy machine is busy for all."""

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.floor import Floor
from bench.measure import Cost, Spread, run, spread
from bench.repositories import AGENT, Repository, Work, fresh, output_name

HERE = Path(__file__).parent
PHASES = ("worktree", "agent", "harvest", "merge", "follow", "clean-up")
GROUP_PHASES = frozenset({"merge", "follow"})
"""Done once for a group: their times are divided by its items."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What `traced.py` found out about a run."""

    cost: Cost
    phases: Mapping[str, list[tuple[float, int]]]
    """Seconds and git processes of each call."""
    items: list[tuple[float, float, int]]
    """When each item was over: seconds, processor seconds until then, kilobytes in use."""
    started: float
    """When the first agent started, in seconds."""
    git: int
    peak: int
    """Kilobytes that the orchestrator had at the most."""
    sandbox: str
    """What the agents ran in."""
    gates: list[float]
    """When gates started, in seconds since the epoch."""
    own: float
    """The processor seconds of the orchestrator alone, without the processes that it starts."""


def _do_nothing(_: Repository) -> None:
    """Prepares nothing."""


def run_gitbatch(
    repo: Repository,
    work: Work,
    sandbox: str,
    jobs: int = 1,
    prepare: Callable[[Repository], object] = _do_nothing,
) -> Trace:
    """Run the whole of some work, with stopwatches, after what prepares the repository for it."""
    repo.reset(work)
    prepare(repo)
    report = repo.folder / "trace.json"
    options = ("--items", "all", "--checkpoint", "at-end", "--no-input", "--sandbox", sandbox)
    argv: list[str | Path] = [
        sys.executable,
        HERE / "traced.py",
        report,
        "run",
        *options,
        "--jobs",
        str(jobs),
    ]
    cost = run(argv, repo.root, repo.environment, repo.log)
    found = json.loads(report.read_text(encoding="utf-8"))
    phases = {phase: [(seconds, git) for seconds, git in calls] for phase, calls in found["phases"].items()}
    items = [(at, cpu, rss) for at, cpu, rss in found["items"]]
    kind = re.search(r"sandbox (\w+)", repo.log.read_text(encoding="utf-8", errors="replace"))
    return Trace(
        cost,
        phases,
        items,
        found["started"],
        found["git"],
        found["peak"],
        kind[1] if kind else sandbox,
        found["gates"],
        found["own"],
    )


def run_as_people_do(
    repo: Repository,
    work: Work,
    sandbox: str,
    prepare: Callable[[Repository], object] = _do_nothing,
    jobs: int = 0,
) -> Cost:
    """The whole of some work without stopwatches, with as many items at a time as it takes by itself unless they are named."""
    repo.reset(work)
    prepare(repo)
    options = ["--items", "all", "--checkpoint", "at-end", "--no-input", "--sandbox", sandbox]
    options += ["--jobs", str(jobs)] if jobs else []
    return run([sys.executable, "-m", "gitbatch", "run", *options], repo.root, repo.environment, repo.log)


def run_loop(repo: Repository, work: Work, items: int) -> tuple[Cost, list[list[float]]]:
    """The same by the shell loop, of which some items are enough; seconds of each item's steps."""
    repo.reset(work)
    outputs = [output_name(item % work.groups + 1, item // work.groups + 1) for item in range(items)]
    cost = run(
        ["bash", HERE / "loop.sh", repo.worktrees, fresh(AGENT), *outputs],
        repo.root,
        repo.environment,
        repo.log,
    )
    lines = repo.log.read_text(encoding="utf-8").splitlines()
    steps = [[int(step) / 1e6 for step in line.split()] for line in lines if line[:1].isdecimal()]
    return cost, steps


@dataclass(slots=True)
class Column:
    """One way to do the work: for each phase the times of an item (seconds), and what an item costs in all."""

    name: str
    phases: dict[str, list[float]] = field(default_factory=dict)
    git: dict[str, float] = field(default_factory=dict)
    """Git processes of an item, where they are counted."""
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak: int = 0

    def add(self, phase: str, times: Iterable[float]) -> None:
        """Note times of a phase."""
        self.phases.setdefault(phase, []).extend(times)

    def add_cost(self, cost: Cost, items: int) -> None:
        """Note what all items together cost."""
        self.wall.append(cost.wall / items)
        self.cpu.append(cost.cpu / items)

    def spreads(self) -> dict[str, Spread]:
        """The times of an item by phase; `item`: everything, start-up included; `item cpu`: processor time."""
        found = {phase: spread(self.phases[phase]) for phase in PHASES if self.phases.get(phase)}
        if self.wall:
            found |= {"item": spread(self.wall), "item cpu": spread(self.cpu)}
        return found


def measure_phases(
    repo: Repository, work: Work, sandboxes: tuple[str, ...], rounds: int, loop_items: int
) -> list[Column]:
    """gitbatch (for each sandbox, without and with stopwatches), the shell loop and git by hand, in turn."""
    ours = {sandbox: Column(f"gitbatch, {sandbox}") for sandbox in sandboxes}
    loop, floor = Column("shell loop"), Column("git by hand")
    for _ in range(rounds):
        for sandbox, column in ours.items():
            column.add_cost(run_as_people_do(repo, work, sandbox), work.total)
            trace = run_gitbatch(repo, work, sandbox)
            column.name = f"gitbatch, {trace.sandbox}"
            _add_trace(column, trace, work)
        cost, steps = run_loop(repo, work, loop_items)
        loop.add_cost(cost, loop_items)
        for phase, times in zip(
            ("worktree", "agent", "harvest", "merge", "clean-up"), zip(*steps, strict=True), strict=True
        ):
            loop.add(phase, times)
        repo.reset(work)
        least = Floor(repo, work)
        least.run()
        for phase, seconds in least.times.items():
            floor.add(phase, _per_item(phase, seconds, work))
    return [*ours.values(), loop, floor]


def _add_trace(column: Column, trace: Trace, work: Work) -> None:
    column.peak = max(column.peak, trace.peak)
    for phase, calls in trace.phases.items():
        column.add(phase, _per_item(phase, [seconds for seconds, _ in calls], work))
        column.git[phase] = sum(git for _, git in calls) / work.total
    column.git["item"] = trace.git / work.total


def _per_item(phase: str, seconds: list[float], work: Work) -> list[float]:
    """The times of a phase for one item: a group's share, or the sum of what is done for an item in two steps."""
    if phase in GROUP_PHASES:
        return [time / work.items for time in seconds]
    if phase == "clean-up":  # once for each item, and once for the group
        shared = sorted(seconds)
        return [sum(shared) / work.total]
    parts = len(seconds) // work.total
    return [sum(seconds[start : start + parts]) for start in range(0, len(seconds), parts)]


@dataclass(frozen=True, slots=True)
class Growth:
    """Whether an item gets dearer the more there are: milliseconds for each item, early and late in one batch."""

    sandbox: str
    items: int
    jobs: int
    branches: int
    """Others, that have nothing to do with it."""
    early: Spread
    """From the tenth item on."""
    late: Spread
    """The last ones."""
    early_cpu: Spread
    late_cpu: Spread
    whole: Spread
    """Everything, by the number of items: start-up, checkpoint and clean-up too."""
    early_memory: float
    """Megabytes in use."""
    peak: float
    git: float
    """Processes for each item."""


def measure_growth(
    repo: Repository, items: int, jobs: int, sandbox: str, rounds: int, branches: int = 0
) -> Growth:
    """One group of many items, several times."""
    first, window = min(10, items // 4), min(max(items // 20, 2 * jobs), items // 3)
    if branches:
        repo.add_branches(branches)
    traces = [run_gitbatch(repo, Work(1, items), sandbox, jobs) for _ in range(rounds)]
    if branches:
        repo.remove_branches()

    def each(begin: int, column: int) -> Spread:
        ends = ((trace.items[begin][column], trace.items[begin + window - 1][column]) for trace in traces)
        return spread((late - early) / (window - 1) for early, late in ends)

    return Growth(
        sandbox=traces[0].sandbox,
        items=items,
        jobs=jobs,
        branches=branches,
        early=each(first, 0),
        late=each(items - window, 0),
        early_cpu=each(first, 1),
        late_cpu=each(items - window, 1),
        whole=spread(trace.cost.wall / items for trace in traces),
        early_memory=traces[0].items[first + window][2] / 1024,
        peak=max(trace.peak for trace in traces) / 1024,
        git=traces[0].git / items,
    )


@dataclass(frozen=True, slots=True)
class Width:
    """Many agents at the same time, each of which only waits; seconds."""

    sandbox: str
    items: int
    jobs: int
    seconds: Spread
    """The wall time of the whole batch (milliseconds)."""
    ideal: float
    """What the agents alone need."""
    start_up: float
    """Until the first agent starts."""
    cpu: float

    @property
    def ratio(self) -> float:
        """How much longer it takes than it must."""
        return self.seconds.median / 1000 / (self.ideal + self.start_up)


def measure_width(repo: Repository, items: int, jobs: int, nap: float, sandbox: str, rounds: int) -> Width:
    """So many agents, each of which sleeps for `nap` seconds."""
    work = Work(1, items, agent=f"sleep {nap}; {AGENT}")
    traces = [run_gitbatch(repo, work, sandbox, jobs) for _ in range(rounds)]
    return Width(
        sandbox=traces[0].sandbox,
        items=items,
        jobs=jobs,
        seconds=spread(trace.cost.wall for trace in traces),
        ideal=nap * -(-items // jobs),
        start_up=median(trace.started for trace in traces),
        cpu=median(trace.cost.cpu for trace in traces),
    )


@dataclass(frozen=True, slots=True)
class Start:
    """How long commands take that do nothing, in milliseconds."""

    times: Mapping[str, Spread]


def measure_start(repo: Repository, rounds: int) -> Start:
    """Commands in turn, after a batch of twelve items has run."""
    run_gitbatch(repo, Work(1, 12), "none", jobs=4)
    repo.git("config", "core.hooksPath", str(HERE / "no-hooks"))
    hook = HERE.parent.parent / "hooks" / "pre-commit"
    commit = ("commit", "--quiet", "--allow-empty", "-m", "one more")
    commands: dict[str, list[str | Path]] = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import typer": [sys.executable, "-c", "import typer"],
        "gitbatch --version": [sys.executable, "-m", "gitbatch", "--version"],
        "gitbatch status": [sys.executable, "-m", "gitbatch", "status"],
        "gitbatch plan": [sys.executable, "-m", "gitbatch", "plan"],
        "git commit": ["git", *commit],
        "… with the pre-commit hook": ["git", "-c", f"core.hooksPath={hook.parent}", *commit],
        "the pre-commit hook": [hook],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, argv in commands.items():
            times[name].append(run(argv, repo.root, repo.environment, repo.log).wall)
    repo.git("config", "--unset", "core.hooksPath")
    return Start({name: spread(found) for name, found in times.items()})
