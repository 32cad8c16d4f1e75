"""The command line of the benchmark, and its tables."""

import argparse
import json
import os
import shutil
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import experiments
from bench.experiments import PHASES, Column, Growth, Merges, Start, Width
from bench.repositories import Repository, Work, make_repository

EXPERIMENTS = ("phases", "growth", "merge", "width", "start")


def main() -> None:
    """Measure what is wanted, and print it."""
    wanted = _parse()
    parts: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="gitbatch bench ", dir=wanted.place) as folder:
        for number, files in enumerate(wanted.files):
            repo = make_repository(Path(folder) / f"{number}", files)
            for name in EXPERIMENTS:
                if name in wanted.only and (name == "phases" or number == 0):
                    part = _EXPERIMENTS[name](repo, wanted)
                    parts.append({"experiment": name, "files": files, **part})
                    if not wanted.json:
                        print(part.pop("text"), flush=True)
            shutil.rmtree(repo.folder)
    if wanted.json:
        for part in parts:
            del part["text"]
        print(json.dumps(parts, indent=1))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python tests/bench", description=__doc__)
    add = parser.add_argument
    add("--files", type=int, nargs="+", default=[236, 5000], help="sizes of repositories; also 100000")
    add(
        "--only", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS), help="all but phases: first size"
    )
    add("--items", type=int, default=20, help="of a batch (phases)")
    add("--groups", type=int, default=1, help="that they are in, each with a checkpoint (phases)")
    add("--checkout", choices=("context", "full"), default="context", help="kind of worktree (phases)")
    add("--sandbox", nargs="+", default=["none", "auto"], help="kinds to compare (phases)")
    add("--rounds", type=int, default=3, help="how often everything is done in turn")
    add("--loop-items", type=int, default=5, help="items that the shell loop does in each round")
    add("--many", type=int, default=1000, help="items of the long batch (growth)")
    add("--jobs", type=int, default=4, help="items at the same time (growth)")
    add("--wide", type=int, default=64, help="agents that sleep at the same time (width)")
    add("--nap", type=float, default=1.0, help="seconds that they sleep (width)")
    add("--merged", type=int, default=100, help="branches (merge)")
    add("--place", default=os.environ.get("TMPDIR", "/var/tmp"), help="where to work")  # noqa: S108
    add("--json", action="store_true")
    return parser.parse_args()


def _phases(repo: Repository, wanted: argparse.Namespace) -> dict[str, Any]:
    work = Work(wanted.groups, wanted.items // wanted.groups, wanted.checkout)
    columns = experiments.measure_phases(repo, work, tuple(wanted.sandbox), wanted.rounds, wanted.loop_items)
    found = [
        {
            "name": column.name,
            "ms": {phase: asdict(times) for phase, times in column.spreads().items()},
            "git": column.git,
            "peak_mb": round(column.peak / 1024, 1),
        }
        for column in columns
    ]
    head = f"{repo.files} files, {work.total} items in {work.groups} group(s), checkout {work.checkout}; ms for each item"
    return {"columns": found, "text": f"\n{head}\n\n{_phase_table(columns)}"}


def _phase_table(columns: list[Column]) -> str:
    spreads = [column.spreads() for column in columns]
    rows = [["", *(column.name for column in columns)]]
    for phase in (*PHASES, "item", "item cpu"):
        label = {"item": "**all of it**", "item cpu": "processor time"}.get(phase, phase)
        rows.append([label, *(str(found.get(phase, "")) for found in spreads)])
    counted = [f"{column.git['item']:.1f}" if column.git else "" for column in columns]
    rows.append(["git processes", *counted])
    rows.append(["peak memory, MB", *(f"{c.peak / 1024:.0f}" if c.peak else "" for c in columns)])
    loop = next(found for column, found in zip(columns, spreads, strict=True) if column.name == "shell loop")
    for name, phase in (("shell loop / this", "item"), ("… processor time", "item cpu")):
        rows.append(
            [name, *(f"{loop[phase].median / f[phase].median:.1f} x" if phase in f else "" for f in spreads)]
        )
    return _table(rows)


def _table(rows: list[list[str]]) -> str:
    """A table as Markdown."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["| " + " | ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _growth(repo: Repository, wanted: argparse.Namespace) -> dict[str, Any]:
    found: Growth = experiments.measure_growth(repo, wanted.many, wanted.jobs)
    text = (
        f"\n{found.items} items in one group, {found.jobs} at a time, {repo.files} files: early {found.early:.1f} ms an item "
        f"({found.early_cpu:.1f} ms processor time), late {found.late:.1f} ({found.late_cpu:.1f}): "
        f"x {found.late / found.early:.2f} ({found.late_cpu / found.early_cpu:.2f})\n"
        f"memory {found.early_memory:.0f} MB early, {found.peak:.0f} MB at the most; {found.git:.1f} git processes an item"
    )
    return {**asdict(found), "text": text}


def _merge(repo: Repository, wanted: argparse.Namespace) -> dict[str, Any]:
    found: Merges = experiments.measure_merges(repo, wanted.merged, wanted.rounds)
    rows = [
        [f"merging {found.items} items, {repo.files} files", "ms", "/ merge, checkpoint", "/ checkout too"],
        ["merge, checkpoint", str(found.recorded), "1.0 x", ""],
        ["… and the checkout follows", str(found.ours), "", "1.0 x"],
    ]
    for name, times in (("git merge, one by one", found.git_merge), ("one octopus", found.octopus)):
        ratios = [f"{times.median / ours.median:.1f} x" for ours in (found.recorded, found.ours)]
        rows.append([name, str(times), *ratios])
    text = f"\n{_table(rows)}"
    return {**asdict(found), "text": text}


def _width(repo: Repository, wanted: argparse.Namespace) -> dict[str, Any]:
    found: Width = experiments.measure_width(repo, 4 * wanted.wide, wanted.wide, wanted.nap)
    text = (
        f"\n{found.items} agents that sleep {wanted.nap:g} s, {found.jobs} at a time: {found.seconds:.2f} s; ideal {found.ideal:g} s "
        f"+ {found.start_up:.2f} s start-up: x {found.seconds / (found.ideal + found.start_up):.2f}; "
        f"{found.cpu:.1f} s processor time"
    )
    return {**asdict(found), "text": text}


def _start(repo: Repository, wanted: argparse.Namespace) -> dict[str, Any]:
    found: Start = experiments.measure_start(repo, 1 + 4 * (wanted.rounds - 1))
    least = found.times["import typer"].median
    rows = [["command", "ms", "/ import typer"]]
    rows += [[name, str(times), f"{times.median / least:.1f} x"] for name, times in found.times.items()]
    return {"ms": {name: asdict(times) for name, times in found.times.items()}, "text": f"\n{_table(rows)}"}


_EXPERIMENTS = {"phases": _phases, "growth": _growth, "merge": _merge, "width": _width, "start": _start}
