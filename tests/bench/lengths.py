"""Whether what a batch costs stays flat in its items: the same measured at several lengths, in one group and in many.

No item declares a context: each reads the outputs of all groups before its own. Times are processor time, and the wall besides, which
says little on a busy machine; the agent's own (a shell that writes a line) is part of the run's.
"""

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from bench.experiments import run_gitbatch
from bench.measure import Cost, run
from bench.repositories import Repository, Work

COMMANDS = ("lint", "plan", "status", "verify")
_EARLY = 100
"""The item whose cost is compared with the last one's."""


@dataclass(frozen=True, slots=True)
class Length:
    """What a batch of one length costs. Times in seconds, memory in megabytes, sizes in bytes."""

    items: int
    groups: int
    lint: float
    plan: float
    status: float
    verify: float
    run: float
    """For each item, in milliseconds: the whole run, by the number of its items."""
    run_alone: float
    """The part of it that the orchestrator itself takes: without agents, the launcher and git."""
    late: float
    """How many times the last items cost what those from the hundredth on do."""
    run_memory: float
    """The most that the orchestrator had."""
    verify_memory: float
    event: float
    """For each item: the log of events."""
    message: float
    """The longest message of a checkpoint without its trailers."""
    status_file: float
    """The status after the last checkpoint."""
    prompt: float
    """The longest prompt that an item was given."""
    lint_wall: float
    plan_wall: float
    status_wall: float
    verify_wall: float
    run_wall: float


WALLS = tuple(name for name in Length.__slots__ if name.endswith("_wall"))
NUMBERS = tuple(name for name in Length.__slots__ if name not in {"items", "groups", *WALLS})


def measure_length(
    repo: Repository, items: int, groups: int, sandbox: str, jobs: int, checkout: str
) -> Length:
    """Runs one batch, then each command on what it left."""
    work = Work(groups, items // groups, checkout=checkout, declares=False)
    repo.reset(work)
    before = {name: _measure_command(repo, name) for name in ("lint", "plan")}
    trace = run_gitbatch(repo, work, sandbox, jobs)
    done = {name: _measure_command(repo, name) for name in COMMANDS}
    window = max(items // 20, 2)
    first = min(_EARLY, items // 4)
    early, late = (
        trace.items[start + window - 1][1] - trace.items[start][1] for start in (first, items - window)
    )
    own = repo.root / ".git" / "gitbatch"
    checkpoints = repo.git("log", "--format=%H", "--grep=^Gitbatch-Checkpoint: ", "main").split()
    bodies = (repo.git("log", "-1", "--format=%B", oid).partition("Gitbatch-")[0] for oid in checkpoints)
    prompts = [path.stat().st_size for path in own.glob("*/prompts/*")] or [0]
    return Length(
        items=items,
        groups=groups,
        lint=max(before["lint"].cpu, done["lint"].cpu),
        plan=max(before["plan"].cpu, done["plan"].cpu),
        status=done["status"].cpu,
        verify=done["verify"].cpu,
        run=1000 * trace.cost.cpu / items,
        run_alone=1000 * trace.own / items,
        late=late / early,
        run_memory=trace.peak / 1024,
        verify_memory=done["verify"].memory,
        event=sum(path.stat().st_size for path in own.glob("*/events.jsonl")) / items,
        message=max(map(len, bodies)),
        status_file=(repo.root / "status.md").stat().st_size,
        prompt=max(prompts),
        lint_wall=max(before["lint"].wall, done["lint"].wall),
        plan_wall=max(before["plan"].wall, done["plan"].wall),
        status_wall=done["status"].wall,
        verify_wall=done["verify"].wall,
        run_wall=1000 * trace.cost.wall / items,
    )


def _measure_command(repo: Repository, name: str) -> Cost:
    return run([sys.executable, "-m", "gitbatch", name], repo.root, repo.environment, repo.log)


def extrapolate(lengths: Sequence[tuple[int, float]], items: int) -> float:
    """A number at another length, by the straight line that is nearest to those measured; never less than the last."""
    if len(lengths) < 2:
        return lengths[-1][1]
    line = statistics.linear_regression(*zip(*lengths, strict=True))
    return max(lengths[-1][1], line.intercept + line.slope * items) if line.slope > 0 else lengths[-1][1]
