"""What early start saves: batches of several shapes whose agents sleep, with and without it, next to the simulation.

The times of agents are lognormal and seeded, the same for both runs and for the simulation. The runs are done in turn, so that a
busy machine is busy for both; their times have everything in them, start-up too.
"""

import math
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import fmean

from bench.measure import run
from bench.repositories import Repository

from gitbatch.batch.planning.early.dependencies import plan_early
from gitbatch.batch.planning.early.model import EarlyLimits
from gitbatch.batch.planning.early.simulation import simulate_run
from gitbatch.batch.planning.project_state import read_project_state
from gitbatch.project.control import PlanChoice
from gitbatch.repo.opening import open_repository

_Reads = tuple[tuple[int, int], ...] | None
"""The items that an item reads, by group and place, both from 1; None: it declares no context."""
Shape = tuple[tuple[_Reads, ...], ...]
"""Groups of items."""


def _make_chains(groups: int, items: int) -> Shape:
    """Groups in which each item reads what the one at its place wrote in the group before."""
    return tuple(
        tuple(((group - 1, item),) if group > 1 else () for item in range(1, items + 1))
        for group in range(1, groups + 1)
    )


def _make_mixed(groups: int, items: int) -> Shape:
    """Half of the items read nothing of the batch, a third two items of the group before, the rest declare nothing."""

    def read(group: int, item: int) -> _Reads:
        if item % 6 in {1, 3, 5}:
            return ()
        if item % 6 == 0:
            return None
        return ((group - 1, item), (group - 1, item % items + 1)) if group > 1 else ()

    return tuple(tuple(read(group, item) for item in range(1, items + 1)) for group in range(1, groups + 1))


def _make_funnel() -> Shape:
    """40 items, five of which each reads eight of them, and one that reads those."""
    five = tuple(tuple((1, 8 * part + place) for place in range(1, 9)) for part in range(5))
    return (tuple(() for _ in range(40)), five, (tuple((2, part) for part in range(1, 6)),))


def _make_inventory() -> Shape:
    """One item, 60 that read it, and one that reads those."""
    return ((()),), tuple(((1, 1),) for _ in range(60)), (tuple((2, item) for item in range(1, 61)),)


SHAPES: Mapping[str, Callable[[], Shape]] = {
    "waves": lambda: _make_chains(4, 12),
    "stages": lambda: _make_chains(4, 20),
    "mixed": lambda: _make_mixed(5, 12),
    "funnel": _make_funnel,
    "inventory": _make_inventory,
    "undeclared": lambda: tuple(tuple(None for _ in range(10)) for _ in range(4)),
    "tiny": lambda: _make_chains(2, 3),
}
"""`tiny` is for the tests of the benchmark."""
DEFAULT_SHAPES = tuple(name for name in SHAPES if name != "tiny")


@dataclass(frozen=True, slots=True)
class ShapeTimes:
    """The times of a shape in seconds, the means of several rounds: without early start and with it."""

    shape: str
    items: int
    jobs: int
    simulated: tuple[float, float]
    measured: tuple[float, float]
    early: float
    """How many items started before their group."""
    ratios: tuple[float, ...]
    """Measured with early start / without, in each round."""

    @property
    def simulated_saving(self) -> float:
        """The part of the time that early start saves by simulation."""
        return 1 - self.simulated[1] / self.simulated[0]

    @property
    def saving(self) -> float:
        """The part of the time that early start saves."""
        return 1 - self.measured[1] / self.measured[0]


def measure_shape(
    repo: Repository, name: str, jobs: int, nap: float, sigma: float, rounds: int
) -> ShapeTimes:
    """Runs a shape in turn without and with early start, in each round with other times of its agents, and in the other order."""
    shape = SHAPES[name]()
    simulated, measured, early = [], [], []
    for seed in range(rounds):
        naps = _draw_naps(shape, nap, sigma, seed)
        _write_naps(repo, naps)
        simulated.append(_simulate(repo, shape, naps, jobs))
        order = ("off", "on") if seed % 2 == 0 else ("on", "off")
        runs = {eager: _run_shape(repo, shape, jobs, eager) for eager in order}
        measured.append((runs["off"][0], runs["on"][0]))
        early.append(runs["on"][1])
    return ShapeTimes(
        name,
        sum(map(len, shape)),
        jobs,
        (fmean(each[0] for each in simulated), fmean(each[1] for each in simulated)),
        (fmean(each[0] for each in measured), fmean(each[1] for each in measured)),
        fmean(early),
        tuple(wall / without for without, wall in measured),
    )


def _name_output(group: int, item: int) -> str:
    return f"docs/g{group}/i{item:02}.md"


def _list_places(shape: Shape) -> Iterator[tuple[int, int, _Reads]]:
    for number, group in enumerate(shape, 1):
        for item, reads in enumerate(group, 1):
            yield number, item, reads


def _draw_naps(shape: Shape, nap: float, sigma: float, seed: int) -> Mapping[str, float]:
    """The seconds that each agent sleeps, by output; their mean is `nap`."""
    drawn = random.Random(seed)  # noqa: S311 - the same times for the same seed
    mean = math.log(nap) - sigma**2 / 2
    return {_name_output(g, i): math.exp(drawn.gauss(mean, sigma)) for g, i, _ in _list_places(shape)}


def _write_naps(repo: Repository, naps: Mapping[str, float]) -> None:
    for output, seconds in naps.items():
        path = repo.folder / "naps" / output
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{seconds:.3f}", encoding="utf-8")


def _plan_shape(repo: Repository, shape: Shape) -> Mapping[str, str]:
    """The files of a plan; an agent sleeps as long as a file outside of the repository says."""
    lines = ["# Shape", "", "## Work Packages"]
    for group, item, reads in _list_places(shape):
        if item == 1:
            lines += ["", f"### Group {group}", ""]
        names = ", ".join(_name_output(*each) for each in reads or ()) or "src/p000/m00/file00.py"
        declared = "" if reads is None else f" (context: {names})"
        lines.append(f"- [ ] T{group}{item:02} Write → Output: {_name_output(group, item)}{declared}")
    agent = f'sleep "$(cat "{repo.folder}/naps/$1")"; echo "$1" > "$1"'
    config = [
        "[batch]",
        'checkout = "context"',
        "[agents.shell]",
        'kind = "command"',
        f"command = ['sh', '-c', '{agent}', 'sh', '{{output}}']",
    ]
    return {"task.md": "\n".join(lines) + "\n", "gitbatch.toml": "\n".join(config) + "\n"}


def _simulate(repo: Repository, shape: Shape, naps: Mapping[str, float], jobs: int) -> tuple[float, float]:
    """The seconds of a batch without early start and with it, if only agents took time."""
    commit = repo.reset_with(_plan_shape(repo, shape))
    opened = open_repository(repo.root, read_only=True)
    try:
        state = read_project_state(opened, commit, PlanChoice())
        outputs = {item.reference: item.output for item in state.plan.items}
        plan = plan_early(state, jobs, outputs.keys())
    finally:
        opened.close()
    durations = {name: naps[output] for name, output in outputs.items()}
    without, early = (
        simulate_run(plan, EarlyLimits(jobs, lookahead), durations).wall_time for lookahead in (0, None)
    )
    return without, early


def _run_shape(repo: Repository, shape: Shape, jobs: int, eager: str) -> tuple[float, int]:
    """The seconds of a run, and how many items started early."""
    repo.reset_with(_plan_shape(repo, shape))
    own = repo.root / ".git" / "gitbatch"
    before = set(own.glob("*/events.jsonl"))
    options = ("--items", "all", "--checkpoint", "at-end", "--no-input", "--sandbox", "none")
    argv = [sys.executable, "-m", "gitbatch", "run", *options, "--jobs", str(jobs), "--eager", eager]
    cost = run(argv, repo.root, repo.environment, repo.log)
    (log,) = set(own.glob("*/events.jsonl")) - before
    return cost.wall, log.read_text(encoding="utf-8").count('"early":true')
