"""The options of the benchmark."""

import argparse
import os

from bench.machines import MACHINE_SECTIONS
from bench.machines_setup import OWN_COST
from bench.reach import SECTIONS
from bench.shapes import DEFAULT_SHAPES, SHAPES

from gitbatch.sandbox.model import SandboxKind

EXPERIMENTS = ("phases", "growth", "merge", "width", "start", "shapes", "worktrees", "machines")
_LONG = {"shapes", "worktrees", "machines"}
_LEAST_MANY = 20


def make_parser() -> argparse.ArgumentParser:
    """Returns the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python tests/bench", description="What gitbatch costs.")
    add = parser.add_argument
    add("--files", type=_count, nargs="+", default=[236, 5000], help="sizes of repositories; also 100000")
    add(
        "--only",
        nargs="+",
        choices=EXPERIMENTS,
        default=[name for name in EXPERIMENTS if name not in _LONG],
        help="all but shapes, worktrees and machines, if not given; all but phases: first size",
    )
    add("--items", type=_count, default=20, help="of a batch (phases)")
    add("--groups", type=_count, default=1, help="that they are in, each with a checkpoint (phases)")
    add(
        "--checkout",
        choices=("context", "full"),
        default="context",
        help="files of a worktree (phases)",
    )
    add(
        "--sandbox",
        nargs="+",
        choices=[kind.value for kind in SandboxKind],
        default=["none", "auto"],
        help="kinds to compare",
    )
    add("--rounds", type=_count, default=3, help="how often everything is done in turn")
    add("--loop-items", type=_count, default=5, help="items that the shell loop does in each round")
    add("--many", type=_many, default=1000, help="items of the long batch, at least 20 (growth)")
    add("--jobs", type=_count, default=4, help="items at the same time (growth)")
    add(
        "--lengths",
        type=_many,
        nargs="+",
        default=[250, 500, 1000],
        help="items; also 2500 5000 10000 (growth)",
    )
    add("--length-groups", type=_count, nargs="+", default=[1, 10], help="groups of each of them (growth)")
    add("--length-checkout", choices=("context", "full"), default="full", help="their files of a worktree")
    add("--branches", type=_count, default=10_000, help="that a repository has besides (growth)")
    _add_waits(parser)
    _add_machines(parser)
    add("--merged", type=_count, default=100, help="branches (merge)")
    _add_folders(parser)
    add("--json", action="store_true", help="print one JSON object at the end, and nothing else")
    return parser


def _add_machines(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the rows of many machines."""
    add = parser.add_argument
    sections = tuple(MACHINE_SECTIONS)
    add(
        "--machine-sections",
        nargs="+",
        choices=sections,
        default=list(sections),
        help="what is measured (machines)",
    )
    add("--machine-items", type=_count, default=200, help="of most of its batches (machines)")
    add("--machine-many", type=_count, default=1000, help="of the batch whose memory is looked at (machines)")
    add("--machine-nap", type=float, default=0.5, help="seconds that agents sleep (machines)")
    add("--machine-output", type=_count, default=20, help="megabytes of the largest outputs (machines)")
    add(
        "--carriers",
        nargs="+",
        choices=tuple(OWN_COST),
        default=list(OWN_COST),
        help="next to local runs (machines)",
    )
    add(
        "--simulate",
        type=_pair,
        nargs="+",
        default=[(10, 1000), (100, 10_000), (1000, 10_000), (1000, 100_000)],
        metavar="WORKERSxITEMS",
        help="simulated batches; the others are compared with the first (machines)",
    )


def _add_waits(parser: argparse.ArgumentParser) -> None:
    """Adds the options of the experiments in which agents sleep."""
    add = parser.add_argument
    add("--wide", type=_count, default=64, help="agents that sleep at the same time (width)")
    add("--nap", type=float, default=1.0, help="seconds that they sleep (width)")
    add("--shapes", nargs="+", choices=list(SHAPES), default=list(DEFAULT_SHAPES), help="of batches (shapes)")
    add("--slots", type=_count, default=12, help="agents at the same time (shapes)")
    add("--shape-nap", type=float, default=2.0, help="seconds that they sleep, in the mean (shapes)")
    add("--sigma", type=float, default=0.5, help="spread of the logarithm of that time (shapes)")


def _add_folders(parser: argparse.ArgumentParser) -> None:
    """Adds where everything is done, and the options of the rows of worktrees."""
    add = parser.add_argument
    folder = os.environ.get("TMPDIR", "/var/tmp")  # noqa: S108
    add("--folder", default=folder, help="a folder to work in; its file system decides what a checkout costs")
    add("--disk", default="/var/tmp", help="a folder on a disk, for what depends on one (worktrees)")  # noqa: S108
    add("--keep", action="store_true", help="leave the repositories in these folders, for the next time")
    add(
        "--sections",
        nargs="+",
        choices=tuple(SECTIONS),
        default=list(SECTIONS),
        help="what is measured (worktrees)",
    )
    add("--modules", type=_count, default=300, help="megabytes that batch.prepare installs (worktrees)")
    add("--claude", default="", help="Claude Code, if it is neither on PATH nor a package here (worktrees)")


def _count(said: str) -> int:
    number = int(said)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{said} is less than 1")
    return number


def _pair(said: str) -> tuple[int, int]:
    workers, _, items = said.partition("x")
    return _count(workers), _count(items)


def _many(said: str) -> int:
    number = int(said)
    if number < _LEAST_MANY:
        raise argparse.ArgumentTypeError(f"{said} is less than {_LEAST_MANY}")
    return number
