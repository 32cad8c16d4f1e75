"""The command line of the benchmark, and its tables."""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import experiments
from bench.experiments import PHASES, Column, Start
from bench.length_rows import list_length_rows, measure_lengths, render_lengths
from bench.machines import measure_machines
from bench.machines_setup import MachinesSetup
from bench.measure import FailedError
from bench.merges import Merges, measure_merges
from bench.options import make_parser
from bench.reach import find_claude, measure_reach
from bench.reach_setup import Setup
from bench.repositories import Repository, Supply, Work
from bench.rows import HEAD, Row, render_table, summarize
from bench.shapes import measure_shape


def main() -> None:
    """Measure what is wanted, and print it."""
    parser = make_parser()
    wanted = parser.parse_args()
    if wanted.items % wanted.groups:
        parser.error("--items can't be parted into --groups evenly")
    if any(items % groups for items in wanted.lengths for groups in wanted.length_groups):
        parser.error("--lengths can't be parted into --length-groups evenly")
    found: dict[str, Any] = {"parameters": {**vars(wanted), "file_system": file_system(Path(wanted.folder))}}

    def say(text: str) -> None:
        if not wanted.json:
            print(text, flush=True)

    say(
        f"in {wanted.folder} ({found['parameters']['file_system']}), {wanted.rounds} round(s); behind a median, in brackets:"
    )
    say("the quartiles of eight measurements or more, else the least and the most")
    try:
        with ExitStack() as stack:
            supplies = [_open_supply(stack, Path(place), wanted) for place in (wanted.folder, wanted.disk)]
            found["experiments"] = list(_measure(supplies[0], supplies[1], wanted, say))
    except (FailedError, OSError, subprocess.CalledProcessError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    if wanted.json:
        print(json.dumps(found, indent=1))


def _open_supply(stack: ExitStack, place: Path, wanted: argparse.Namespace) -> Supply:
    """Returns a supply of repositories in a folder of its own: one that stays if they are to be kept."""
    if wanted.keep:
        folder = place / "gitbatch bench"
        folder.mkdir(parents=True, exist_ok=True)
    else:
        place.mkdir(parents=True, exist_ok=True)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gitbatch bench ", dir=place)))
    supply = Supply(folder, wanted.keep)
    stack.callback(supply.close)
    return supply


def _measure(
    memory: Supply, disk: Supply, wanted: argparse.Namespace, say: Callable[[str], None]
) -> Iterator[dict[str, Any]]:
    """What each experiment finds; it is said as soon as it is known."""
    phases: dict[int, list[dict[str, Any]]] = {}
    for number, files in enumerate(wanted.files):
        for name, measure in _EXPERIMENTS.items():
            if name in wanted.only and (name == "phases" or number == 0):
                part = measure(memory.find(files), wanted)
                say(part.pop("text"))
                if name == "phases":
                    phases[files] = part["columns"]
                yield {"experiment": name, "files": files, **part}
    if len(phases) > 1:
        part = compare_sizes(min(phases), max(phases), phases)
        say(part.pop("text"))
        yield {"experiment": "size", **part}
    if "worktrees" in wanted.only:
        part = _worktrees(memory, disk, wanted, say)
        say(part.pop("text"))
        yield {"experiment": "worktrees", **part}
    if "machines" in wanted.only:
        part = _machines(memory, wanted, say)
        say(part.pop("text"))
        yield {"experiment": "machines", **part}


def compare_sizes(few: int, many: int, phases: dict[int, list[dict[str, Any]]]) -> dict[str, Any]:
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
    return render_table(rows)


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
    lengths = measure_lengths(repo, wanted)
    reached = list_length_rows(lengths)
    length_text = f"{render_lengths(lengths, wanted.sandbox[0])}\n\n{_render_rows(reached)}"
    return {
        "batches": [asdict(f) for f in found],
        "lengths": [asdict(f) for f in lengths],
        "rows": [row.as_json for row in reached],
        "text": f"\n{head}\n\n{render_table(rows)}\n\n{length_text}",
    }


def _render_rows(rows: list[Row]) -> str:
    return f"{render_table([HEAD, *(row.cells for row in rows)])}\n\n{summarize(rows)}"


def _worktrees(
    memory: Supply, disk: Supply, wanted: argparse.Namespace, say: Callable[[str], None]
) -> dict[str, Any]:
    setup = Setup(
        sizes=tuple(wanted.files),
        memory=memory,
        disk=disk,
        sandboxes=tuple(wanted.sandbox),
        rounds=wanted.rounds,
        items=wanted.items,
        on_disk=(236, 48),
        wide=(4 * wanted.wide, wanted.wide),
        modules=wanted.modules,
        claude=find_claude(wanted.claude),
    )
    return _collect_sections(measure_reach(setup, tuple(wanted.sections)), say)


def _machines(memory: Supply, wanted: argparse.Namespace, say: Callable[[str], None]) -> dict[str, Any]:
    setup = MachinesSetup(
        sizes=tuple(wanted.files),
        supply=memory,
        sandboxes=tuple(wanted.sandbox),
        rounds=wanted.rounds,
        items=wanted.machine_items,
        many=wanted.machine_many,
        nap=wanted.machine_nap,
        output=wanted.machine_output,
        simulated=tuple(wanted.simulate),
        carriers=tuple(wanted.carriers),
    )
    return _collect_sections(measure_machines(setup, tuple(wanted.machine_sections)), say)


def _collect_sections(
    sections: Iterator[tuple[str, list[Row], float]], say: Callable[[str], None]
) -> dict[str, Any]:
    """Says the rows of each section as soon as they are known, and returns all of them."""
    found, seconds = [], {}
    for name, rows, took in sections:
        say(f"\n{name}, measured in {took:.0f} s\n\n{render_table([HEAD, *(row.cells for row in rows)])}")
        found += rows
        seconds[name] = round(took, 1)
    return {"rows": [row.as_json for row in found], "seconds": seconds, "text": f"\n{summarize(found)}"}


def _merge(repo: Repository, wanted: argparse.Namespace) -> dict[str, Any]:
    found: Merges = measure_merges(repo, wanted.merged, wanted.rounds)
    rows = [
        [f"merging {found.items} items, {repo.files} files", "ms", "/ merge, checkpoint", "/ checkout too"],
        ["merge, checkpoint", str(found.recorded), "1.0 x", ""],
        ["… and the checkout follows", str(found.ours), "", "1.0 x"],
    ]
    for name, times in (("git merge, one by one", found.git_merge), ("one octopus", found.octopus)):
        ratios = [f"{times.median / ours.median:.1f} x" for ours in (found.recorded, found.ours)]
        rows.append([name, str(times), *ratios])
    text = f"\n{render_table(rows)}"
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
    return {"batches": [asdict(f) for f in found], "text": f"\n{head}\n\n{render_table(rows)}"}


def _start(repo: Repository, wanted: argparse.Namespace) -> dict[str, Any]:
    found: Start = experiments.measure_start(repo, 1 + 4 * (wanted.rounds - 1))
    least = found.times["import typer"].median
    rows = [["command", "ms", "/ import typer"]]
    rows += [[name, str(times), f"{times.median / least:.1f} x"] for name, times in found.times.items()]
    return {
        "ms": {name: asdict(times) for name, times in found.times.items()},
        "text": f"\n{render_table(rows)}",
    }


def _shapes(repo: Repository, wanted: argparse.Namespace) -> dict[str, Any]:
    found = [
        measure_shape(repo, name, wanted.slots, wanted.shape_nap, wanted.sigma, wanted.rounds)
        for name in wanted.shapes
    ]
    rows = [["", "items", "early", "simulated, s", "saved", "measured, s", "saved", "with / without"]]
    rows += [
        [
            f.shape,
            str(f.items),
            f"{f.early:.0f}",
            f"{f.simulated[0]:.1f} → {f.simulated[1]:.1f}",
            f"{f.simulated_saving:.0%}",
            f"{f.measured[0]:.1f} → {f.measured[1]:.1f}",
            f"{f.saving:.0%}",
            ", ".join(f"{ratio:.2f}" for ratio in f.ratios),
        ]
        for f in found
    ]
    head = (
        f"early start: {wanted.slots} agents at a time that sleep {wanted.shape_nap:g} s in the mean (lognormal, sigma {wanted.sigma:g}); "
        "seconds of a batch, without → with early start"
    )
    return {"batches": [asdict(f) for f in found], "text": f"\n{head}\n\n{render_table(rows)}"}


_EXPERIMENTS = {
    "phases": _phases,
    "growth": _growth,
    "merge": _merge,
    "width": _width,
    "start": _start,
    "shapes": _shapes,
}
