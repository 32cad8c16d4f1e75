"""What the experiments on worktrees share: their repositories and settings, and how a batch with a warm template is run."""

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

from bench.experiments import HERE, Trace, run_as_people_do, run_gitbatch
from bench.measure import Cost, FailedError
from bench.repositories import Repository, Supply, Work, remove_folder

FAR = 100_000
"""The size of the largest repository that has an aim."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What is measured, and where."""

    sizes: tuple[int, ...]
    memory: Supply
    """In the place that is measured."""
    disk: Supply
    """On a disk, for what depends on its file system."""
    sandboxes: tuple[str, ...]
    rounds: int
    items: int
    on_disk: tuple[int, int]
    """The files of the repository on a disk, and the items of the batch there."""
    wide: tuple[int, int]
    """The items of the wide batch, and how many of them run at the same time."""
    modules: int
    """The megabytes that `batch.prepare` installs."""
    claude: Path | None
    """Claude Code, if it can be run."""

    @property
    def repositories(self) -> dict[int, Repository]:
        """Returns the repositories by size, the smallest first."""
        return {files: self.memory.find(files) for files in sorted(self.sizes)}

    @property
    def ends(self) -> dict[int, Repository]:
        """Returns the smallest and the largest one."""
        found = self.repositories
        return {files: found[files] for files in (min(found), max(found))}


@dataclass(slots=True)
class Times:
    """The seconds that something took, by a name and a size, one for each round."""

    found: dict[tuple[str, int], list[float]] = field(default_factory=dict)

    def add(self, name: str, files: int, seconds: float) -> None:
        """Notes one."""
        self.found.setdefault((name, files), []).append(seconds)

    def median(self, name: str, files: int) -> float:
        """Returns the median in milliseconds."""
        return 1000 * median(self.found[name, files])


def run_script(repo: Repository, name: str, *arguments: object) -> dict[str, Any]:
    """Runs a program of the benchmark in the environment of a run, and returns the JSON that it prints.

    Raises:
        FailedError: it failed.
    """
    argv: list[str | Path] = [sys.executable, HERE / name, repo.root, *map(str, arguments)]
    done = subprocess.run(argv, cwd=repo.root, env=repo.environment, capture_output=True, check=False)
    if done.returncode:
        raise FailedError(f"{name} failed:\n{done.stderr.decode(errors='replace')[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def warm_template(repo: Repository) -> dict[str, Any]:
    """Makes the layers of the branch's tip, if they are missing; returns what `template.py` says of them."""
    return run_script(repo, "template.py", repo.cache, 0, 0)


def clear_cache(repo: Repository) -> None:
    """Removes all templates of a repository."""
    remove_folder(repo.cache)


def render_costs(pairs: Iterable[tuple[str, float, float]]) -> str:
    """Returns names with milliseconds of wall and of processor time for a row."""
    return ", ".join(
        f"{name} {_digits(wall)} ms ({_digits(cpu)} of processor time)" for name, wall, cpu in pairs
    )


def run_warm(repo: Repository, work: Work, sandbox: str) -> Cost:
    """Runs a batch as people do, whose template exists."""
    return run_as_people_do(repo, work, sandbox, prepare=warm_template)


def trace_warm(repo: Repository, work: Work, sandbox: str, jobs: int = 1) -> Trace:
    """Runs a batch with stopwatches, whose template exists."""
    return run_gitbatch(repo, work, sandbox, jobs, prepare=warm_template)


def with_kind(repo: Repository, kind: str) -> Repository:
    """Returns the repository, whose worktrees are of one kind."""
    return replace(repo, kind=kind)


def join_times(pairs: Iterable[tuple[str, float]]) -> str:
    """Returns names and milliseconds for a row."""
    return ", ".join(f"{name} {_digits(value)} ms" for name, value in pairs)


def _digits(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"
