"""The command line of the benchmark, and its tables."""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import experiments
from bench.experiments import PHASES, Column, Merges, Start
from bench.lengths import NUMBERS, Length, extrapolate, measure_length
from bench.measure import FailedError
from bench.repositories import Repository, Work, make_repository

from gitbatch.sandbox.model import SandboxKind

EXPERIMENTS = ("phases", "growth", "merge", "width", "start")
_LEAST_MANY = 20
_FAR = 100_000
"""The items for which numbers are extrapolated: a batch of so many takes too long to be run."""


def main() -> None:
    """Measure what is wanted, and print it."""
    parser = _parser()
    wanted = parser.parse_args()
    if wanted.items % wanted.groups:
        parser.error("--items can't be parted into --groups evenly")
    if any(items % groups for items in wanted.lengths for groups in wanted.length_groups):
        parser.error("--lengths can't be parted into --length-groups evenly")
    found: dict[str, Any] = {"parameters": {**vars(wanted), "file_system": file_system(Path(wanted.place))}}

    def say(text: str) -> None:
        if not wanted.json:
            print(text, flush=True)

    say(
        f"in {wanted.place} ({found['parameters']['file_system']}), {wanted.rounds} round(s); behind a median, in brackets:"
    )
    say("the quartiles of eight measurements or more, else the least and the most")
    try:
        with tempfile.TemporaryDirectory(prefix="gitbatch bench ", dir=wanted.place) as folder:
            found["experiments"] = list(_measure(Path(folder), wanted, say))
    except (FailedError, OSError, subprocess.CalledProcessError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    if wanted.json:
        print(json.dumps(found, indent=1))


def _measure(
    folder: Path, wanted: argparse.Namespace, say: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """What each experiment finds; it is said as soon as it is known."""
    phases: dict[int, list[dict[str, Any]]] = {}
    for number, files in enumerate(wanted.files):
        repo = make_repository(folder / f"{number}", files)
        for name in EXPERIMENTS:
            if name in wanted.only and (name == "phases" or number == 0):
                part = _EXPERIMENTS[name](repo, wanted)
                say(part.pop("text"))
                if name == "phases":
                    phases[files] = part["columns"]
                yield {"experiment": name, "files": files, **part}
        shutil.rmtree(repo.folder)
    if len(phases) > 1:
        part = _size(min(phases), max(phases), phases)
        say(part.pop("text"))
        yield {"experiment": "size", **part}


def _size(few: int, many: int, phases: dict[int, list[dict[str, Any]]]) -> dict[str, Any]:
    """How much dearer the same batch is in the largest repository than in the smallest, by processor time."""
    both = zip(phases[few], phases[many], strict=True)
    ratios = {
        small["name"]: large["ms"]["item cpu"]["median"] / small["ms"]["item cpu"]["median"]
        for small, large in both
        if small["peak_mb"]
    }
    said = "; ".join(f"{name}: {ratio:.2f} x" for name, ratio in ratios.items())
    return {"ratios": ratios, "text": f"\nprocessor time of an item at {many} files / at {few}: {said}"}


def file_system(place: Path) -> str:
    """The kind of file system that a place is on; empty where the machine does not say."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    kinds = {mount.split(" ")[1]: mount.split(" ")[2] for mount in mounts}
    return next((kinds[str(above)] for above in (place, *place.parents) if str(above) in kinds), "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python tests/bench", description="What gitbatch costs.")
    add = parser.add_argument
    add("--files", type=_count, nargs="+", default=[236, 5000], help="sizes of repositories; also 100000")
    add(
        "--only", nargs="+", choices=EXPERIMENTS, default=list(EXPERIMENTS), help="all but phases: first size"
    )
    add("--items", type=_count, default=20, help="of a batch (phases)")
    add("--groups", type=_count, default=1, help="that they are in, each with a checkpoint (phases)")
    add(
        "--checkout",
        choices=("context", "full"),
        default="context",
        help="kind of worktree (phases, lengths)",
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
    add("--branches", type=_count, default=10_000, help="that a repository has besides (growth)")
    add("--wide", type=_count, default=64, help="agents that sleep at the same time (width)")
    add("--nap", type=float, default=1.0, help="seconds that they sleep (width)")
    add("--merged", type=_count, default=100, help="branches (merge)")
    place = os.environ.get("TMPDIR", "/var/tmp")  # noqa: S108
    add("--place", default=place, help="a folder to work in; its file system decides what a checkout costs")
    add("--json", action="store_true", help="print one JSON object at the end, and nothing else")
    return parser


def _count(said: str) -> int:
    number = int(said)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{said} is less than 1")
    return number


def _many(said: str) -> int:
    number = int(said)
    if number < _LEAST_MANY:
        raise argparse.ArgumentTypeError(f"{said} is less than {_LEAST_MANY}")
    return number


def _phases(repo: Repository, wanted: argparse.Namespace) -> dict[str, Any]:
    work = Work(wanted.groups, wanted.items // wanted.groups, wanted.checkout)
    columns = experiments.measure_phases(repo, work, tuple(wanted.sandbox), wanted.rounds, wanted.loop_items)
    found = [
        {
            "name": column.name,
            "ms": {phase: asdict(times) for phase, times in column.spreads().items()},
            "git": column.git,
            "peak_mb": round(column.peak / 1024, 1) if column.peak else None,
        }
        for column in columns
    ]
    head = (
        f"{repo.files} files, {work.total} items in {work.groups} group(s), checkout {work.checkout}; ms for each item "
        "(all of it: start-up too, as many at a time as usual; phases: one at a time)"
    )
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
    many, jobs, rounds = wanted.many, wanted.jobs, wanted.rounds
    found = [experiments.measure_growth(repo, many, jobs, sandbox, rounds) for sandbox in wanted.sandbox]
    first = wanted.sandbox[0]
    found.append(experiments.measure_growth(repo, many, wanted.wide, first, rounds))
    found.append(experiments.measure_growth(repo, many, jobs, first, rounds, wanted.branches))
    rows = [["", "early", "late", "late / early", "… processor time", "whole run", "memory, MB", "git"]]
    rows += [
        [
            f"{f.sandbox}, {f.jobs} at a time" + (f", {f.branches} branches" if f.branches else ""),
            *(str(times) for times in (f.early, f.late)),
            f"{f.late.median / f.early.median:.2f} x",
            f"{f.late_cpu.median / f.early_cpu.median:.2f} x",
            str(f.whole),
            f"{f.early_memory:.0f}, at most {f.peak:.0f}",
            f"{f.git:.2f}",
        ]
        for f in found
    ]
    head = f"{many} items in one group, {repo.files} files; ms and git processes for each item"
    lengths = _measure_lengths(repo, wanted)
    return {
        "batches": [asdict(f) for f in found],
        "lengths": [asdict(f) for f in lengths],
        "text": f"\n{head}\n\n{_table(rows)}\n\n{_length_table(lengths, wanted.sandbox[0])}",
    }


def _measure_lengths(repo: Repository, wanted: argparse.Namespace) -> list[Length]:
    """What batches of each length cost, in each number of groups; the last ones are extrapolated."""
    found: list[Length] = []
    for groups in wanted.length_groups:
        own = [
            measure_length(repo, items, groups, wanted.sandbox[0], wanted.jobs, wanted.checkout)
            for items in sorted(wanted.lengths)
        ]
        numbers = {
            name: extrapolate([(each.items, getattr(each, name)) for each in own], _FAR) for name in NUMBERS
        }
        found += [*own, Length(items=_FAR, groups=groups, **numbers)]
    return found


def _length_table(found: list[Length], sandbox: str) -> str:
    rows = [["items, groups", *(name.replace("_", " ") for name in NUMBERS)]]
    for each in found:
        said = " (extrapolated)" if each.items == _FAR else ""
        numbers = (getattr(each, name) for name in NUMBERS)
        rows.append([f"{each.items:,} in {each.groups}{said}", *(f"{number:,.3g}" for number in numbers)])
    head = (
        f"sandbox {sandbox}, no context declared; lint, plan, status, verify: seconds of processor time; run: ms of it for an item; "
        "late: the last items / those from the hundredth; memory: MB; the rest: bytes"
    )
    return f"{head}\n\n{_table(rows)}"


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
    many, jobs = 4 * wanted.wide, wanted.wide
    found = [
        experiments.measure_width(repo, many, jobs, wanted.nap, sandbox, wanted.rounds)
        for sandbox in wanted.sandbox
    ]
    rows = [["", "ms", "ideal, s", "start-up, s", "/ both", "processor time, s"]]
    rows += [
        [f.sandbox, str(f.seconds), f"{f.ideal:g}", f"{f.start_up:.2f}", f"{f.ratio:.2f} x", f"{f.cpu:.1f}"]
        for f in found
    ]
    head = f"{many} agents that sleep {wanted.nap:g} s, {jobs} at a time"
    return {"batches": [asdict(f) for f in found], "text": f"\n{head}\n\n{_table(rows)}"}


def _start(repo: Repository, wanted: argparse.Namespace) -> dict[str, Any]:
    found: Start = experiments.measure_start(repo, 1 + 4 * (wanted.rounds - 1))
    least = found.times["import typer"].median
    rows = [["command", "ms", "/ import typer"]]
    rows += [[name, str(times), f"{times.median / least:.1f} x"] for name, times in found.times.items()]
    return {"ms": {name: asdict(times) for name, times in found.times.items()}, "text": f"\n{_table(rows)}"}


_EXPERIMENTS = {"phases": _phases, "growth": _growth, "merge": _merge, "width": _width, "start": _start}
