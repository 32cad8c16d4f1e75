"""What worktrees cost besides: their room on the disk, what `batch.prepare` has installed, and the start of a gate."""

import os
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Self

from bench.experiments import HERE, Trace, run_as_people_do, run_gitbatch
from bench.reach_setup import Setup, clear_cache, join_times, trace_warm, warm_template
from bench.repositories import AGENT, Repository, Work, remove_folder
from bench.rows import Row

_OF_ITEMS = ("worktrees", "objects", "refs", "gitbatch")
"""The folders of git that grow with the items; the index, which git writes as a copy, grows with the files."""
_GATE_FILES, _GATE_GROUPS = 5000, 3


def measure_room(setup: Setup) -> Iterator[Row]:
    """The room that worktrees of trivial items take while all of them exist."""
    places = [(f"{files:,} files", repo) for files, repo in setup.ends.items()]
    places.append((f"{min(setup.sizes):,} files on a disk", setup.disk.find(min(setup.sizes))))
    for name, repo in places:
        work = Work(1, setup.items, "full", agent=f"{AGENT}; sleep 1")
        folders = (repo.worktrees, *(repo.root / ".git" / name for name in _OF_ITEMS))
        with RoomWatch(folders) as watch:
            run_as_people_do(repo, work, "none", prepare=partial(_begin, watch), jobs=setup.items)
        room = (watch.most - watch.before) / setup.items / 1000
        yield Row(
            f"{name}: room of a worktree with its objects", f"{setup.items} at a time", room, 100, unit=" KB"
        )


def _begin(watch: "RoomWatch", repo: Repository) -> None:
    warm_template(repo)
    watch.before = watch.most = measure_folders(watch.folders)


class RoomWatch:
    """Measures the room of folders all the time, in a thread of its own; files with several names are not counted."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        self.folders = folders
        self.before = self.most = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(0.1):
            self.most = max(self.most, measure_folders(self.folders))


def measure_folders(folders: tuple[Path, ...]) -> int:
    """Returns the bytes that folders take on the disk, without files that another folder has too."""
    total = 0
    for top in folders:
        for folder, _, names in os.walk(top):
            for path in (folder, *(f"{folder}/{name}" for name in names)):
                try:
                    found = os.lstat(path)
                except FileNotFoundError:
                    continue
                total += 512 * found.st_blocks if path == folder or found.st_nlink == 1 else 0
    return total


def measure_prepared(setup: Setup) -> Iterator[Row]:
    """What is installed once, and how much later an item starts with it."""
    repo = setup.repositories[min(setup.sizes)]
    counter = setup.memory.place / "installed"
    counter.unlink(missing_ok=True)
    program = f"prepare = ['{sys.executable}', '{HERE / 'modules.py'}', '{setup.modules}', '{counter}']"
    settings = (program, "prepare-sandbox = 'none'", "prepare-on = ['src/p000/m00/file00.py']")
    clear_cache(repo)
    with_it, without = (Work(1, setup.items, "full", settings=each) for each in (settings, ()))
    first = run_as_people_do(repo, with_it, "none", prepare=warm_template)
    starts: dict[str, list[list[float]]] = {"with": [], "without": []}
    for _ in range(setup.rounds):
        for name, work in (("with", with_it), ("without", without)):
            starts[name].append(_list_starts(trace_warm(repo, work, "none")))
    times = len(counter.read_text(encoding="ascii").splitlines())
    batches = setup.rounds + 1
    name = f"{setup.modules} MB of node_modules by batch.prepare: installed for {batches} batches of {setup.items} items"
    yield Row(name, f"the first batch took {first.wall:.1f} s", times, 1, unit=" times")
    second = {way: median(found[1] for found in each) for way, each in starts.items()}
    later = {way: median(start for found in each for start in found[1:]) for way, each in starts.items()}
    measured = join_times(
        (
            ("with", second["with"]),
            ("without", second["without"]),
            ("later items, with", later["with"]),
            ("without", later["without"]),
        )
    )
    yield Row(
        "… the second item starts later by", measured, second["with"] - second["without"], 20, unit=" ms"
    )
    remove_folder(counter)
    clear_cache(repo)


def _list_starts(trace: Trace) -> list[float]:
    """Returns for each item the milliseconds of its worktree and its agent, one item at a time."""
    agents = [seconds for seconds, _ in trace.phases["agent"]]
    parts = len(trace.phases["worktree"]) // len(agents)
    made = [seconds for seconds, _ in trace.phases["worktree"]]
    return [
        1000 * (sum(made[number * parts : (number + 1) * parts]) + agent)
        for number, agent in enumerate(agents)
    ]


def measure_gates(setup: Setup) -> Iterator[Row]:
    """The time from the decision to run a gate until its program runs."""
    files = _GATE_FILES if _GATE_FILES in setup.sizes else max(setup.sizes)
    repo = setup.repositories[files]
    noted = setup.memory.place / "gates"
    settings = (
        "[gates.trivial]",
        f"command = ['sh', '-c', 'date +%s%N >> \"$1\"', 'sh', '{noted}']",
        "sandbox = 'none'",
    )
    found: list[float] = []
    for _ in range(setup.rounds):
        noted.unlink(missing_ok=True)
        trace = run_gitbatch(
            repo, Work(_GATE_GROUPS, 2, "full", settings=settings), "none", prepare=warm_template
        )
        ran = [int(line) / 1e9 for line in noted.read_text(encoding="ascii").splitlines()]
        found += [1000 * (at - began) for began, at in zip(trace.gates, ran, strict=True)]
    remove_folder(noted)
    measured = f"{min(found):.1f} to {max(found):.1f} ms, {len(found)} times"
    yield Row(f"{files:,} files: start of a gate", measured, median(found), 50, unit=" ms")
